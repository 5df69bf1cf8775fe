"""Several servers behind one client: real ones, that stop being well, die and come back."""

import asyncio
import time
from collections.abc import Callable

import pytest

from recserve_client import (
    AsyncRecommenderClient,
    ChannelConfig,
    RecommenderClient,
    UnavailableError,
)


@pytest.fixture
def replicas(start_replica):
    return [start_replica() for _ in range(3)]


def ask_times(client: RecommenderClient, count: int) -> None:
    for _ in range(count):
        client.recommend("42")


def until(holds: Callable[[], bool]) -> bool:
    """Waits until it holds; whether it did within half a minute."""
    end_s = time.monotonic() + 30
    while not holds() and time.monotonic() < end_s:
        time.sleep(0.02)
    return holds()


def connected(client: RecommenderClient, replicas) -> bool:
    """Asks until every replica has had a call, then forgets the calls so far."""

    def asked() -> bool:
        client.recommend("42")
        return all(replica.calls for replica in replicas)

    reached = until(asked)
    for replica in replicas:
        replica.calls.clear()
    return reached


def test_calls_go_to_all_replicas_in_turn(replicas) -> None:
    with RecommenderClient([each.target for each in replicas], timeout_s=30.0) as client:
        assert connected(client, replicas)
        ask_times(client, 60)

    assert [len(replica.calls) for replica in replicas] == [20, 20, 20]


async def test_calls_of_an_asyncio_client_go_to_all_replicas_too(replicas) -> None:
    targets = ",".join(each.target for each in replicas)
    async with AsyncRecommenderClient(targets, timeout_s=30.0) as client:
        for _ in range(1000):
            await client.recommend("42")
            if all(replica.calls for replica in replicas):
                return
            await asyncio.sleep(0.01)
    pytest.fail("a replica got no call")


def test_a_replica_that_is_not_well_gets_no_calls_until_it_is(replicas) -> None:
    ill = replicas[1]
    with RecommenderClient([each.target for each in replicas], timeout_s=30.0) as client:
        assert connected(client, replicas)
        ill.set_health(False)

        def left_alone() -> bool:
            ill.calls.clear()
            ask_times(client, 9)
            return not ill.calls

        assert until(left_alone)
        ill.set_health(True)
        assert connected(client, replicas)


def test_no_call_is_lost_when_a_replica_dies_and_it_is_found_again(replicas) -> None:
    config = ChannelConfig(max_reconnect_s=0.2)
    targets = [each.target for each in replicas]
    with RecommenderClient(targets, config=config, timeout_s=30.0) as client:
        assert connected(client, replicas)

        replicas[0].stop()
        ask_times(client, 60)
        replicas[0].start()

        assert connected(client, replicas)


def test_a_single_server_is_found_again_after_it_was_gone(start_replica) -> None:
    replica = start_replica()
    config = ChannelConfig(max_reconnect_s=0.2)
    with RecommenderClient(replica.target, config=config, timeout_s=30.0) as client:
        client.recommend("42")
        replica.stop()
        with pytest.raises(UnavailableError):
            client.recommend("42")
        replica.start()

        def answered() -> bool:
            try:
                return client.recommend("42").model_version == 3
            except UnavailableError:
                return False

        assert until(answered)


def test_a_name_is_looked_up(start_replica) -> None:
    replica = start_replica()

    with RecommenderClient(f"dns:///localhost:{replica.port}", timeout_s=30.0) as client:
        assert client.recommend("42").model_version == 3


def test_a_hedge_goes_to_another_replica(replicas, start_replica) -> None:
    """Of two servers one is stuck: with hedging every call is answered all the same."""
    stuck, well = replicas[:2]
    stuck.Recommend = lambda request, context: time.sleep(0.5) or well.Recommend(request, context)
    config = ChannelConfig(hedge_after_s=0.05)
    with RecommenderClient([stuck.target, well.target], config=config, timeout_s=30.0) as client:
        assert until(lambda: client.recommend("42") is not None and len(well.calls) > 1)
