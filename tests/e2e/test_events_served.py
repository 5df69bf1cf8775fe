"""Events through a real server: kept when it is killed, and never in the way of an answer."""

import signal
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from recserve_client import Event, EventType, RecommenderClient, RecommenderError

sys.path.append(str(Path(__file__).parents[1] / "unit" / "server"))  # for stores.py

from stores import RedisServer

pytestmark = pytest.mark.tensorflow

Serve = Callable[..., AbstractContextManager]


def client_of(program: object) -> RecommenderClient:
    address = program.wait_for("serving").rpartition(" ")[2]
    return RecommenderClient(address, timeout_s=5.0)


def shown(client: RecommenderClient, user_id: str) -> set[str]:
    return {item.item_id for item in client.recommend(user_id, k=50)}


@pytest.mark.long
def test_what_was_accepted_counts_after_the_server_was_killed(
    trained: object, serve: Serve, tmp_path: Path
) -> None:
    flags = ("--models", trained.models_dir, "--events", tmp_path / "events.sqlite")
    accepted: list[str] = []
    with serve(*flags) as program, client_of(program) as client:
        for item_id in client.recommend("stranger", k=50):
            event = Event("stranger", item_id.item_id, EventType.VIEW)
            client.record_events([event])
            accepted.append(event.item_id)
            if len(accepted) == 20:
                program.process.send_signal(signal.SIGKILL)
                program.process.wait()
                break

    with serve(*flags) as program, client_of(program) as client:
        left = shown(client, "stranger")

    assert len(accepted) == 20
    assert left
    assert not left & set(accepted)


@pytest.mark.long
def test_answers_go_on_while_redis_is_stuck_or_gone_and_events_come_back(
    trained: object, serve: Serve, tmp_path: Path
) -> None:
    redis = RedisServer(tmp_path)
    flags = ("--models", trained.models_dir, "--events", redis.url)
    flags += ("--events-write-timeout-ms", 300, "--events-read-timeout-ms", 100)
    try:
        with serve(*flags) as program, client_of(program) as client:
            first = client.recommend("1", k=1).items[0].item_id
            client.record_events([Event("1", first, EventType.LIKE)])
            healthy = client.recommend("1", k=50)
            redis.process.send_signal(signal.SIGSTOP)
            stuck = [client.recommend("1", k=50, timeout_s=1.0) for _ in range(8)]
            with pytest.raises(RecommenderError) as refused:
                client.record_events([Event("1", "2", EventType.LIKE)], timeout_s=1.0)
            redis.stop()
            gone = client.recommend("1", k=50)
            redis.start()
            back = until_healthy(client)
    finally:
        redis.stop()

    assert not healthy.is_degraded
    assert first not in {item.item_id for item in healthy}
    assert all(answer.is_degraded and len(answer) for answer in [*stuck, gone])
    assert refused.value.reason in ("STORE_UNAVAILABLE", "")
    assert first not in {item.item_id for item in back}


def until_healthy(client: RecommenderClient) -> object:
    """Asks until the server has found its store again, which it looks for once a second."""
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        answer = client.recommend("1", k=50)
        if not answer.is_degraded:
            return answer
        time.sleep(0.05)
    raise AssertionError("the server does not find its store again")
