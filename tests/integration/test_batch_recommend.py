import grpc
import pytest

from recserve.v1 import recommendation_service_pb2 as pb
from recserve.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from recserve_client import AsyncRecommenderClient, InvalidRequestError, NotFoundError
from recserve_server.lifecycle import Server

REQUESTS = [
    pb.RecommendRequest(user_id="u1", k=2),
    pb.RecommendRequest(user_id="stranger", k=1),
    pb.RecommendRequest(user_id="u0", k=50),
    pb.RecommendRequest(user_id="u0", k=1, include_seen=True),
    pb.RecommendRequest(user_id="u2"),
]


async def test_a_batch_is_answered_as_its_requests_are_one_by_one(server: Server) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = RecommendationServiceStub(channel)
        batch = await stub.BatchRecommend(pb.BatchRecommendRequest(requests=REQUESTS))
        singly = [await stub.Recommend(request) for request in REQUESTS]

    assert list(batch.responses) == singly


async def test_the_sdk_asks_for_several_users_at_once(client: AsyncRecommenderClient) -> None:
    answers = await client.recommend_batch(["u0", "stranger"], k=1)

    assert [[item.item_id for item in answer] for answer in answers] == [["i3"], ["i4"]]


async def test_a_violation_tells_the_place_of_its_request(server: Server) -> None:
    requests = [REQUESTS[0], pb.RecommendRequest(user_id="u0", k=51)]
    async with grpc.aio.insecure_channel(server.address) as channel:
        call = RecommendationServiceStub(channel).BatchRecommend(
            pb.BatchRecommendRequest(requests=requests)
        )
        with pytest.raises(grpc.aio.AioRpcError, match=r"requests\[1\]\.k is 51"):
            await call


@pytest.mark.parametrize("count", [0, 9])
async def test_the_number_of_requests_is_limited(
    client: AsyncRecommenderClient, count: int
) -> None:
    with pytest.raises(InvalidRequestError, match=f"are {count}, must be 1 to 8"):
        await client.recommend_batch(["u0"] * count)


async def test_another_models_name_is_not_found(client: AsyncRecommenderClient) -> None:
    with pytest.raises(NotFoundError):
        await client.recommend_batch(["u0"], model="books")
