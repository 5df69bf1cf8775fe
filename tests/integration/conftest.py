import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from recserve_client import AsyncRecommenderClient
from recserve_server.config import BatchingConfig, Limits, ServerConfig
from recserve_server.lifecycle import Server
from recserve_server.matrix_model import MatrixModel
from recserve_server.testing import running_server

sys.path.append(str(Path(__file__).parent))  # for request_oracle.py

MODEL = MatrixModel(
    np.array([[0, 1, 2, 3, 4], [5, 4, 3, 2, 1], [1, 1, 1, 1, 1]], np.float32),
    histories=[[4], [], []],
)


@pytest.fixture
def config(tmp_path: Path) -> ServerConfig:
    MODEL.publish(tmp_path)
    return ServerConfig(
        models_dir=tmp_path,
        address="127.0.0.1:0",
        grace_s=5.0,
        batching=BatchingConfig(max_batch_size=4, max_enqueued=8),
        limits=Limits(max_k=50, max_batch_requests=8),
    )


@pytest.fixture
async def server(config: ServerConfig) -> AsyncIterator[Server]:
    async with running_server(config) as running:
        yield running


@pytest.fixture
async def client(server: Server) -> AsyncIterator[AsyncRecommenderClient]:
    async with AsyncRecommenderClient(server.address, timeout_s=10.0) as connected:
        yield connected
