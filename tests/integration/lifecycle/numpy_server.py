"""recserve-serve in all but TensorFlow: the same flags, the same life, models of NumPy.

The first two arguments say how long a batch takes and how long a version takes to load, in
seconds; the rest are flags of recserve-serve.
"""

import asyncio
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recserve.artifact.v1 import manifest_pb2
from recserve_server import lifecycle
from recserve_server.__main__ import main
from recserve_server.config import ServerConfig
from recserve_server.matrix_model import MatrixRetriever, open_matrix
from recserve_server.model import Found, ModelRunner
from recserve_server.models.loading import OpenModel
from recserve_server.testing import open_with


class SlowRetriever(MatrixRetriever):
    """Takes its time for every batch once it has been warmed up."""

    batch_s = 0.0

    def retrieve(self, user_rows: NDArray[np.int32], k: int, excluded: NDArray[np.int32]) -> Found:
        time.sleep(self.batch_s)
        return super().retrieve(user_rows, k, excluded)


def opening(batch_s: float, load_s: float) -> OpenModel:
    async def open_model(
        config: ServerConfig, folder: Path, manifest: manifest_pb2.Manifest, beside: bool
    ) -> ModelRunner:
        await asyncio.sleep(load_s)
        slow = SlowRetriever(open_matrix(folder).scores)
        runner = await open_with(lambda _: slow)(config, folder, manifest, beside)
        slow.batch_s = batch_s
        return runner

    return open_model


if __name__ == "__main__":
    opened = opening(float(sys.argv[1]), float(sys.argv[2]))
    lifecycle.Server = partial(lifecycle.Server, open_model=opened)
    sys.exit(main(sys.argv[3:]))
