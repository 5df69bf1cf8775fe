"""A server that logs everything: MODELS_DIR FORMAT CALLERS_FILE -> its address on stdout.

Once warm, its model fails for user "u2". It ends with its standard input.
"""

import asyncio
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recserve_server.config import AccessConfig, BatchingConfig, EventsConfig, ServerConfig
from recserve_server.logs import configure_logging
from recserve_server.matrix_model import MatrixRetriever, open_matrix
from recserve_server.testing import running_server

FAILING_ROW = 2


class Failing(MatrixRetriever):
    is_broken = False

    def retrieve(
        self, user_rows: NDArray[np.int32], k: int, excluded: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        if self.is_broken and FAILING_ROW in user_rows:
            raise RuntimeError("the model broke\n00:00:00 ERROR   a line that was never logged")
        return super().retrieve(user_rows, k, excluded)


def open_failing(folder: Path) -> Failing:
    model = open_matrix(folder)
    return Failing(model.scores, model.item_item)


async def main() -> None:
    models_dir, callers_file = Path(sys.argv[1]), Path(sys.argv[3])
    configure_logging("debug", sys.argv[2])
    config = ServerConfig(
        models_dir=models_dir,
        address="127.0.0.1:0",
        grace_s=1.0,
        batching=BatchingConfig(max_batch_size=4),
        events=EventsConfig(location=str(models_dir.parent / "events.sqlite")),
        access=AccessConfig(callers_file=callers_file),
        reflection=True,
    )
    async with running_server(config, open_failing) as server:
        Failing.is_broken = True
        print(server.address, flush=True)
        await asyncio.to_thread(sys.stdin.read)


asyncio.run(main())
