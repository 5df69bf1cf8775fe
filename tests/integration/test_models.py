from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import numpy as np
import pytest

from recserve.v1 import model_service_pb2 as pb
from recserve.v1.model_service_pb2_grpc import ModelServiceStub
from recserve_client import AsyncRecommenderClient, ModelState, NotFoundError
from recserve_server.config import ServerConfig
from recserve_server.lifecycle import Server
from recserve_server.matrix_model import MatrixModel
from recserve_server.testing import running_server

BROKEN = MatrixModel(np.full((1, 1), np.nan, np.float32))


@pytest.fixture
async def three_versions(config: ServerConfig) -> AsyncIterator[Server]:
    MatrixModel(np.zeros((1, 1), np.float32)).publish(config.models_dir, "other", 4)
    BROKEN.publish(config.models_dir, "films", 2)
    async with running_server(replace(config, name="films")) as server:
        yield server


async def test_every_version_on_disk_is_listed_with_its_state(three_versions: Server) -> None:
    async with AsyncRecommenderClient(three_versions.address) as client:
        models = await client.list_models()

    assert [(each.name, each.version, each.state) for each in models] == [
        ("films", 2, ModelState.REFUSED),
        ("films", 1, ModelState.SERVING),
        ("other", 4, ModelState.AVAILABLE),
    ]
    assert "not numbers" in models[0].state_message


async def test_pages_continue_where_the_last_one_ended(three_versions: Server) -> None:
    seen = []
    token = ""
    async with grpc.aio.insecure_channel(three_versions.address) as channel:
        while True:
            request = pb.ListModelsRequest(page_size=1, page_token=token)
            page = await ModelServiceStub(channel).ListModels(request)
            seen += [(each.name, each.version) for each in page.models]
            token = page.next_page_token
            if not token:
                break

    assert seen == [("films", 2), ("films", 1), ("other", 4)]


async def test_the_serving_model_is_described_without_naming_it(
    client: AsyncRecommenderClient,
) -> None:
    model = await client.get_model()

    assert (model.name, model.version, model.state) == ("films", 1, ModelState.SERVING)
    assert (model.user_count, model.item_count, model.max_k) == (3, 5, 50)
    assert model.load_time is not None


async def test_a_version_that_is_not_there_is_not_found(client: AsyncRecommenderClient) -> None:
    with pytest.raises(NotFoundError):
        await client.get_model("films", 9)
