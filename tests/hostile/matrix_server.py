"""recserve-serve over a NumPy model in the server's own process: no TensorFlow, the same life."""

import argparse
import asyncio
import resource
import time
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recserve_server import lifecycle
from recserve_server.config import BatchingConfig, EventsConfig, Limits, ServerConfig
from recserve_server.logs import configure_logging
from recserve_server.matrix_model import MatrixRetriever, open_matrix
from recserve_server.model import Found
from recserve_server.testing import open_with


class SlowRetriever(MatrixRetriever):
    """Takes its time for every batch, whatever its size, while a file says so."""

    slow = Path()
    batch_s = 0.0

    def retrieve(self, user_rows: NDArray[np.int32], k: int, excluded: NDArray[np.int32]) -> Found:
        if self.batch_s and self.slow.exists():
            time.sleep(self.batch_s)
        return super().retrieve(user_rows, k, excluded)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path)
    parser.add_argument("--open-files", type=int, help="file descriptors, connections included")
    parser.add_argument("--address", default="127.0.0.1:0")
    parser.add_argument("--drain-delay", type=float, default=0.0)
    parser.add_argument("--grace", type=float, default=10.0)
    parser.add_argument(
        "--batch-s", type=float, default=0.0, help="what a batch takes once there is MODELS/slow"
    )
    parser.add_argument("--max-batch-size", type=int, default=BatchingConfig().max_batch_size)
    return parser.parse_args()


def config_of(arguments: argparse.Namespace) -> ServerConfig:
    size = arguments.max_batch_size
    return ServerConfig(
        models_dir=arguments.models,
        address=arguments.address,
        drain_delay_s=arguments.drain_delay,
        grace_s=arguments.grace,
        events=EventsConfig(location=str(arguments.models / "events.sqlite")),
        batching=BatchingConfig(max_batch_size=size),
        limits=Limits(max_batch_requests=size),
    )


def open_slowly(slow: Path, batch_s: float, folder: Path) -> SlowRetriever:
    good = open_matrix(folder)
    model = SlowRetriever(good.scores, good.item_item, good.age_scores)
    model.slow, model.batch_s = slow, batch_s
    return model


if __name__ == "__main__":
    given = parse()
    if given.open_files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (given.open_files, given.open_files))
    configure_logging("info", "json")
    opener = open_with(partial(open_slowly, given.models / "slow", given.batch_s))
    lifecycle.Server = partial(lifecycle.Server, open_model=opener)
    asyncio.run(lifecycle.run_server(config_of(given)))
