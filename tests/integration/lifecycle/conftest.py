import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from recserve_server.config import BatchingConfig, Limits, ServerConfig, VersionsConfig
from recserve_server.lifecycle import Server
from recserve_server.testing import running_server

# For what lies beside this file, and versions_world.py and spoiled_versions.py.
sys.path += [
    str(Path(__file__).parent),
    str(Path(__file__).parents[2] / "unit" / "server" / "models"),
]

from versions_world import publish


@pytest.fixture
def config(tmp_path: Path) -> ServerConfig:
    """A server of version 1 that looks at its model directory twenty times a second."""
    publish(tmp_path / "models", 1)
    return ServerConfig(
        models_dir=tmp_path / "models",
        address="127.0.0.1:0",
        admin_socket=tmp_path / "admin",
        grace_s=5.0,
        batching=BatchingConfig(max_batch_size=16, max_enqueued=512),
        limits=Limits(max_k=30, max_batch_requests=128),
        versions=VersionsConfig(poll_interval_s=0.05, labels_file=tmp_path / "labels.json"),
    )


@pytest.fixture
async def server(config: ServerConfig) -> AsyncIterator[Server]:
    async with running_server(config) as running:
        yield running
