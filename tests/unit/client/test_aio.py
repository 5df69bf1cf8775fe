"""What only asyncio has; the rest of the surface is tested with the blocking client's."""

import asyncio

import pytest

from recserve.v1 import recommendation_service_pb2 as recommendation_pb
from recserve_client import AsyncRecommenderClient, RecommenderError

UNREACHABLE = "127.0.0.1:1"


async def test_an_unreachable_server_is_a_connection_error_for_asyncio_too() -> None:
    async with AsyncRecommenderClient(UNREACHABLE) as client:
        with pytest.raises(ConnectionError):
            await client.recommend("42")


async def test_tasks_share_a_client_and_get_their_own_answers(server) -> None:
    server.handle_recommend = lambda request, context: recommendation_pb.RecommendResponse(
        items=[recommendation_pb.ScoredItem(item_id=request.user_id)]
    )
    users = [str(number) for number in range(100)]

    async with AsyncRecommenderClient(server.target, timeout_s=30.0) as client:
        rankings = await asyncio.gather(*map(client.recommend, users))

    assert [ranking.items[0].item_id for ranking in rankings] == users


async def test_closing_an_asyncio_client_twice_does_nothing_and_a_later_call_is_refused(
    server,
) -> None:
    client = AsyncRecommenderClient(server.target)
    await client.recommend("42")
    await client.close()
    await client.close()

    with pytest.raises(RecommenderError, match="the client is closed"):
        await client.recommend("42")


async def test_an_asyncio_client_that_never_called_closes() -> None:
    await AsyncRecommenderClient(UNREACHABLE).close()


async def test_closing_ends_the_calls_of_other_tasks_without_cancelling_them(server) -> None:
    server.block()
    client = AsyncRecommenderClient(server.target, timeout_s=60.0)
    call = asyncio.create_task(client.recommend("42"))
    await asyncio.to_thread(server.arrived.wait, 30)

    await client.close()

    with pytest.raises(RecommenderError, match="the client is closed"):
        await call


async def test_a_cancelled_task_stays_cancelled(server) -> None:
    server.block()
    async with AsyncRecommenderClient(server.target, timeout_s=60.0) as client:
        call = asyncio.create_task(client.recommend("42"))
        await asyncio.to_thread(server.arrived.wait, 30)

        call.cancel()

        with pytest.raises(asyncio.CancelledError):
            await call


def test_a_client_may_be_made_before_the_loop_runs(server) -> None:
    client = AsyncRecommenderClient(server.target, timeout_s=30.0)

    async def call_and_close() -> int:
        async with client:
            return len(await client.recommend("42"))

    assert asyncio.run(call_and_close()) == 2
