import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from recserve.v1 import recommendation_service_pb2 as pb
from recserve.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from recserve_client import (
    AsyncRecommenderClient,
    DeadlineExceededError,
    Event,
    EventType,
    RecommenderClient,
)


def test_calls_are_kept_in_order_with_what_they_asked(server, ask) -> None:
    ask("recommend", "ann", k=3)
    ask("rank_items", ["et"], user_id="ben")

    first, second = server.calls
    assert (first.method, second.method) == ("Recommend", "RankItems")
    assert first.request == pb.RecommendRequest(user_id="ann", k=3)
    assert 0 < first.time_remaining_s < 31  # gRPC sends it rounded up


def test_metadata_is_kept_and_a_call_may_have_no_deadline(server) -> None:
    with grpc.insecure_channel(server.target) as channel:
        RecommendationServiceStub(channel).Recommend(
            pb.RecommendRequest(user_id="ann"), metadata=(("x-tenant", "a"), ("x-bin", b"\0"))
        )

    [call] = server.calls
    assert (call.metadata["x-tenant"], call.metadata["x-bin"]) == ("a", b"\0")
    assert call.time_remaining_s is None


def test_health_checks_are_no_calls(server, client) -> None:
    client.check_health()

    assert server.calls == ()


def test_each_call_is_waited_for_once(server, client) -> None:
    client.recommend("ann")
    client.recommend("ben")

    waited_for = [server.wait_for_call().request.user_id for _ in range(2)]

    assert waited_for == ["ann", "ben"]
    with pytest.raises(TimeoutError, match=r"no further call came within 0\.01 s"):
        server.wait_for_call(0.01)


def test_a_paused_server_holds_its_answer(server, client) -> None:
    server.pause()
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(client.recommend, "ann")
        call = server.wait_for_call()
        with pytest.raises(TimeoutError, match="Recommend is still under way"):
            call.wait_until_over(0.05)
        assert not asked.done()
        assert repr(call) == '<ReceivedCall Recommend(user_id: "ann" k: 10) under way>'

        server.resume()

        assert len(asked.result())
    call.wait_until_over()
    assert not call.was_cancelled
    assert repr(call).endswith(" answered>")


def test_what_to_answer_is_decided_when_the_answer_is_given(server, client) -> None:
    server.pause()
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(client.recommend, "ann")
        server.wait_for_call()
        server.set_recommendations("ann", ["duck"])
        server.resume()

        assert [item.item_id for item in asked.result()] == ["duck"]


def test_a_deadline_that_passes_ends_the_call_at_the_server(server, client) -> None:
    server.pause()

    with pytest.raises(DeadlineExceededError):
        client.recommend("ann", timeout_s=0.1)

    [call] = server.calls
    call.wait_until_over()
    assert call.was_cancelled
    assert repr(call).endswith(" cancelled>")


async def test_a_cancelled_task_ends_its_call_at_the_server(server) -> None:
    server.pause()
    async with AsyncRecommenderClient(server.target, timeout_s=30.0) as client:
        asking = asyncio.create_task(client.recommend("ann"))
        call = await asyncio.to_thread(server.wait_for_call)
        asking.cancel()
        await asyncio.to_thread(call.wait_until_over)

    assert call.was_cancelled


def test_what_nobody_waits_for_has_no_effect(server, client) -> None:
    server.pause()
    with pytest.raises(DeadlineExceededError):
        client.record_events([Event("ann", "et", EventType.LIKE)], timeout_s=0.1)
    server.calls[0].wait_until_over()
    server.fail("INTERNAL", times=1)

    server.resume()

    assert server.events == ()
    with pytest.raises(Exception, match="told to fail"):  # it was not used up
        client.recommend("ann")


def test_answers_are_late_by_the_delay(server, client) -> None:
    server.delay_s = 0.2
    start_s = time.monotonic()

    client.recommend("ann")

    assert time.monotonic() - start_s >= 0.2


def test_a_long_delay_ends_with_its_call(server, client) -> None:
    server.delay_s = 3600.0

    with pytest.raises(DeadlineExceededError):
        client.recommend("ann", timeout_s=0.1)

    server.calls[0].wait_until_over()
    assert server.calls[0].was_cancelled


def test_many_callers_are_answered_at_once(server) -> None:
    together = threading.Barrier(20)

    def ask(number: int) -> int:
        with RecommenderClient(server.target, timeout_s=30.0) as client:
            together.wait(30)
            return len(client.recommend(f"user {number}"))

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(ask, range(20))) == [6] * 20
    assert len(server.calls) == 20


def test_what_was_received_can_be_forgotten(server, client) -> None:
    client.record_events([Event("ann", "et", EventType.LIKE)])
    server.fail("INTERNAL")

    server.clear()

    assert (server.calls, server.events) == ((), ())
    with pytest.raises(Exception, match="told to fail"):  # what was told of it stays
        client.recommend("ann")
    assert server.wait_for_call().method == "Recommend"


def test_a_reset_server_is_as_it_was_at_its_birth(server, client) -> None:
    before = client.recommend("ann")
    server.set_recommendations("ann", ["duck"])
    server.model.version = 9
    server.fail("INTERNAL")
    server.go_down()
    server.pause()
    server.delay_s = 3600.0

    server.reset()

    assert client.recommend("ann") == before
    assert len(server.calls) == 1
