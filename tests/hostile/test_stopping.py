"""SIGTERM while calls are under way."""

import signal
import subprocess
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from hostile_world import best
from server_process import ServerProcess, server_process

from recserve_client import Recommendation, RecommenderClient, UnavailableError

CALLS = 16


def ask(
    server: ServerProcess, client: RecommenderClient, threads: ThreadPoolExecutor
) -> "list[Future[Recommendation]]":
    """Makes calls that take their time, and waits until they have had time to arrive."""
    client.recommend("u0")
    server.slow_down()
    calls = [threads.submit(client.recommend, f"u{number % 3}", k=3) for number in range(CALLS)]
    time.sleep(0.4)
    return calls


def ended(server: ServerProcess, timeout_s: float) -> int:
    return server.process.wait(timeout_s)


def test_calls_under_way_are_answered_and_the_exit_code_is_0(tmp_path: Path) -> None:
    with (
        server_process(tmp_path, "--batch-s", 0.2, "--max-batch-size", 4) as server,
        server.client() as client,
        ThreadPoolExecutor(CALLS) as threads,
    ):
        calls = ask(server, client, threads)
        server.process.send_signal(signal.SIGTERM)

        for number, call in enumerate(calls):
            answer = call.result(30)
            assert [item.item_id for item in answer] == best(number % 3, 3)
        assert ended(server, 10) == 0
        with pytest.raises(UnavailableError):
            client.recommend("u0", timeout_s=2)


@pytest.mark.long
def test_a_second_signal_ends_the_server_at_once(tmp_path: Path) -> None:
    with (
        server_process(tmp_path, "--batch-s", 10) as server,
        server.client() as client,
        ThreadPoolExecutor(CALLS) as threads,
    ):
        calls = ask(server, client, threads)
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            ended(server, 0.5)  # it waits for the calls
        server.process.send_signal(signal.SIGTERM)

        assert ended(server, 5) == 1
        assert all(isinstance(call.exception(30), UnavailableError) for call in calls)


@pytest.mark.long
def test_calls_that_outlast_the_grace_are_let_go(tmp_path: Path) -> None:
    with (
        server_process(tmp_path, "--batch-s", 3, "--grace", 0.3) as server,
        server.client() as client,
        ThreadPoolExecutor(CALLS) as threads,
    ):
        calls = ask(server, client, threads)
        server.process.send_signal(signal.SIGTERM)

        assert all(isinstance(call.exception(30), UnavailableError) for call in calls)
        assert ended(server, 20) == 0
