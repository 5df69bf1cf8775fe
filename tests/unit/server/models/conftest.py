import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from recserve_server.config import MemoryPolicy, ServerConfig, VersionPolicy, VersionsConfig
from recserve_server.models.store import ModelStore

sys.path.append(str(Path(__file__).parent))  # for versions_world.py

from versions_world import Openings, publish

OpenStore = Callable[..., ModelStore]
LoadStore = Callable[..., Awaitable[ModelStore]]


@pytest.fixture
def openings() -> Openings:
    return Openings()


@pytest.fixture
async def open_store(tmp_path: Path, openings: Openings) -> AsyncIterator[OpenStore]:
    """Makes a store over `tmp_path`; whatever it has loaded is freed in the end."""
    async with AsyncExitStack() as ends:

        def store(policy: str = "latest", name: str = "", **versions: object) -> ModelStore:
            if versions.pop("frugal", False):
                versions["memory_policy"] = MemoryPolicy.FRUGAL
            config = ServerConfig(
                models_dir=tmp_path,
                name=name,
                versions=VersionsConfig(policy=VersionPolicy.parse(policy), **versions),
            )
            made = ModelStore(config, openings)
            ends.push_async_callback(made.end)
            return made

        yield store
        for gate in openings.gates.values():
            gate.set()


@pytest.fixture
def load(tmp_path: Path, open_store: OpenStore) -> LoadStore:
    """Publishes versions and makes a store that has loaded of them what it is to."""

    async def load(*numbers: int, **arguments: object) -> ModelStore:
        publish(tmp_path, *numbers)
        store = open_store(**arguments)
        await store.load()
        return store

    return load
