"""The example programs run as their own processes, against the fake server."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import pytest

from recserve_client.testing import SAMPLE_USERS, FakeServer

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
USERS = [f"user-{number}" for number in range(300)]

Start = Callable[..., subprocess.Popen[str]]


class Reply(NamedTuple):
    status: int
    answer: dict


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture
def start(server: FakeServer) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start(script: str, *arguments: str | Path, **streams: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", EXAMPLES / script, *arguments],
            env={**os.environ, "RECSERVE_TARGET": server.target},
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def ask(start: Start) -> Callable[..., Reply]:
    # A pipe that nobody reads would fill, and hold the handler up at one of the lines that it logs.
    process = start("handler.py", "0", stderr=subprocess.DEVNULL)
    port = int(process.stdout.readline().rpartition(":")[2])

    def ask(path: str, **headers: str) -> Reply:
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        reply = Reply(response.status, json.loads(response.read()))
        connection.close()
        return reply

    return ask


def users_answered(output: str) -> list[str]:
    return [json.loads(line)["user"] for line in output.splitlines()]


def test_the_worker_answers_all_users_of_a_file_in_order(start: Start, tmp_path: Path) -> None:
    (tmp_path / "users.txt").write_text("".join(f"{user}\n" for user in USERS))

    worker = start("worker.py", tmp_path / "users.txt")
    output, complaints = worker.communicate(timeout=60)

    assert (worker.returncode, complaints) == (0, "")
    assert users_answered(output) == USERS


def test_the_worker_tells_what_it_was_recommended(start: Start) -> None:
    worker = start("worker.py", stdin=subprocess.PIPE)
    output, complaints = worker.communicate("42\n\nsomebody\n", timeout=60)

    known, unknown = map(json.loads, output.splitlines())
    assert (worker.returncode, complaints) == (0, "")
    assert (known["user"], known["is_personal"], known["model_version"]) == ("42", True, 1)
    assert len(known["items"]) == 10
    assert not set(known["items"]) & set(SAMPLE_USERS["42"])
    assert (unknown["user"], unknown["is_personal"]) == ("somebody", False)


def test_the_worker_waits_for_a_server_that_is_overloaded(start: Start, server: FakeServer) -> None:
    server.overload(retry_after_s=0.01, times=3)

    output, _ = start("worker.py", stdin=subprocess.PIPE).communicate("\n".join(USERS), timeout=60)

    assert users_answered(output) == USERS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_makes_the_worker_answer_what_it_read_and_end(
    start: Start, server: FakeServer, number: int
) -> None:
    worker = start("worker.py", stdin=subprocess.PIPE)
    # In one write, which a pipe keeps together: who has read two calls' users has read them all.
    worker.stdin.write("".join(f"{user}\n" for user in USERS))
    worker.stdin.flush()
    for _ in range(2):
        server.wait_for_call(timeout_s=60)

    worker.send_signal(number)  # the pipe stays open: there may be more to come
    output = worker.stdout.read()

    assert worker.wait(timeout=60) == 0
    assert worker.stderr.read() == ""
    assert users_answered(output) == USERS


def test_the_worker_says_where_to_begin_again(start: Start, server: FakeServer) -> None:
    server.fail("INTERNAL", message="the model fell over")

    worker = start("worker.py", stdin=subprocess.PIPE)
    output, complaints = worker.communicate("\n".join(USERS), timeout=60)

    assert (worker.returncode, output) == (1, "")
    assert "the model fell over" in complaints
    assert "users 0 to 127, 'user-0' to 'user-127'" in complaints


def test_the_handler_recommends(ask: Callable[..., Reply]) -> None:
    status, answer = ask("/recommendations?user=42")

    assert (status, answer["user"], answer["fallback"]) == (200, "42", False)
    assert len(answer["items"]) == 10
    assert answer["items"][0].keys() == {"id", "title"}


def test_the_handler_answers_requests_at_the_same_time(
    ask: Callable[..., Reply], server: FakeServer
) -> None:
    ask("/recommendations?user=42")
    server.pause()
    with ThreadPoolExecutor(8) as threads:
        replies = [threads.submit(ask, f"/recommendations?user={user}") for user in range(8)]
        for _ in range(2 + 8):  # two of the request before
            server.wait_for_call()
        server.resume()

    assert [reply.result().answer["user"] for reply in replies] == [str(user) for user in range(8)]


def test_the_handler_shows_popular_items_when_the_server_is_gone(
    ask: Callable[..., Reply], server: FakeServer
) -> None:
    ask("/recommendations?user=42")
    server.stop()

    status, answer = ask("/recommendations?user=7")

    assert (status, answer["user"], answer["fallback"]) == (200, "7", True)
    assert answer["items"][0] == {"id": "5", "title": "Orbit of Silence"}


def test_the_handler_recommends_again_when_the_server_is_back(
    ask: Callable[..., Reply], server: FakeServer
) -> None:
    server.go_down()
    fell_back = ask("/recommendations?user=42")
    server.come_back()

    assert fell_back == (200, {"user": "42", "items": [], "fallback": True})
    assert not ask("/recommendations?user=42").answer["fallback"]


def test_the_handler_spends_no_more_time_than_its_caller_has(
    ask: Callable[..., Reply], server: FakeServer
) -> None:
    ask("/recommendations?user=42", **{"x-envoy-expected-rq-timeout-ms": "900"})

    assert server.wait_for_call().time_remaining_s <= 0.88


def test_the_handler_says_what_is_wrong_with_a_request(ask: Callable[..., Reply]) -> None:
    assert ask("/recommendations").status == 400
    assert "user_id" in ask("/recommendations?user=").answer["error"]
    assert ask("/elsewhere").status == 404


def test_the_handler_is_healthy_without_the_server(
    ask: Callable[..., Reply], server: FakeServer
) -> None:
    assert ask("/health") == (200, {"status": "ok", "recommendations": "serving"})

    server.stop()

    status, answer = ask("/health")
    assert (status, answer["status"]) == (200, "ok")
    assert answer["recommendations"] != "serving"
