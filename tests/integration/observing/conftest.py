from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from recserve_client import AsyncRecommenderClient
from recserve_server.config import ServerConfig
from recserve_server.lifecycle import Server
from recserve_server.testing import running_server


@pytest.fixture
def config(config: ServerConfig) -> ServerConfig:
    return replace(config, admin_address="127.0.0.1:0")


@pytest.fixture
async def server(config: ServerConfig) -> AsyncIterator[Server]:
    async with running_server(config) as running:
        yield running


@pytest.fixture
async def client(server: Server) -> AsyncIterator[AsyncRecommenderClient]:
    async with AsyncRecommenderClient(server.address, timeout_s=10.0) as connected:
        yield connected
