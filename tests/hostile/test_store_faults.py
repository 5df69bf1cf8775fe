"""A store of events that breaks while the server runs: answers go on, and it is used again."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile_world import best
from server_process import ServerProcess, server_process

from recserve_client import Event, EventType, RecommenderClient, UnavailableError

pytestmark = pytest.mark.long

ANSWER_S = 5.0
"""Far more than the 10 ms that an answer waits for events; a slow machine is no fault."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with server_process(tmp_path) as running:
        yield running


def click(user_id: str) -> Event:
    return Event(user_id, "i1", EventType.CLICK)


def check_answered(client: RecommenderClient) -> None:
    start_s = time.monotonic()
    answer = client.recommend("u2", k=3)
    assert [item.item_id for item in answer] == best(2, 3)
    assert time.monotonic() - start_s < ANSWER_S


def test_a_locked_store_costs_events_and_no_answer(server: ServerProcess) -> None:
    events = server.models / "events.sqlite"
    with server.client() as client:
        client.record_events([click("u0")])
        other = sqlite3.connect(events, isolation_level=None)
        try:
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(UnavailableError) as caught:
                client.record_events([click("u1")])
            assert caught.value.reason == "STORE_UNAVAILABLE"
            check_answered(client)
        finally:
            other.close()

        wait_until_recorded(client)
        check_answered(client)


def test_a_store_that_turns_to_garbage_costs_no_answer(server: ServerProcess) -> None:
    with server.client() as client:
        client.record_events([click("u0")])
        for path in server.models.glob("events.sqlite*"):
            path.write_bytes(b"no database" * 10_000)

        for number in range(3):
            check_answered(client)
            with pytest.raises(UnavailableError):
                client.record_events([click(f"u{number}")])
        assert server.defects() == []


def wait_until_recorded(client: RecommenderClient) -> None:
    end_s = time.monotonic() + 20
    while True:
        try:
            client.record_events([click("u1")])
            return
        except UnavailableError:
            assert time.monotonic() < end_s
