"""Names in the folder of models that no model should have."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hostile_world import best, publish

from recserve_client import AsyncRecommenderClient
from recserve_server.config import ServerConfig
from recserve_server.testing import running_server

ODD = {
    "no UTF-8": b"\xff\xfe/1",
    "a version beyond 64 bits": b"films/99999999999999999999",
    "a version of 200 digits": b"films/" + b"9" * 200,
    "a line break": b"films\nforged/1",
    "a name of the file system's length": b"x" * 255 + b"/1",
    "version 0": b"films/0",
    "zeroes before a version": b"films/01",
}


@pytest.fixture(params=ODD.values(), ids=ODD.keys())
async def client(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[AsyncRecommenderClient]:
    models = publish(tmp_path / "models")
    (models / os.fsdecode(request.param)).mkdir(parents=True)
    config = ServerConfig(models_dir=models, name="films", address="127.0.0.1:0")
    async with (
        running_server(config) as server,
        AsyncRecommenderClient(server.address, timeout_s=20) as connected,
    ):
        yield connected


async def test_an_odd_folder_keeps_no_model_from_being_served_and_listed(
    client: AsyncRecommenderClient,
) -> None:
    answer = await client.recommend("u0", k=3)
    listed = await client.list_models()

    assert [item.item_id for item in answer] == best(0, 3)
    assert ("films", 1) in {(model.name, model.version) for model in listed}
