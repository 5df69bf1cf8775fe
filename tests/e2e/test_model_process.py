"""What becomes of a server whose model process crashes, hangs or outlives it."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from recserve_client import ChannelConfig, HealthStatus, RecommenderClient, UnavailableError

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

Serve = Callable[..., AbstractContextManager]
NO_RETRIES = ChannelConfig(max_attempts=1)


@pytest.fixture(scope="module")
def program(trained: object, serve: Serve) -> Iterator[object]:
    assert trained.ran.returncode == 0, trained.ran.stderr
    with serve("--models", trained.models_dir, "--watchdog", "1") as running:
        running.address = running.wait_for("serving").rpartition(" ")[2]
        yield running


def model_process(server_pid: int) -> int:
    threads = Path(f"/proc/{server_pid}/task").glob("*/children")
    [child] = [pid for thread in threads for pid in thread.read_text().split()]
    return int(child)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "it never came true"
        time.sleep(0.05)


@pytest.mark.long
def test_a_model_process_that_is_killed_is_replaced(program: object) -> None:
    with RecommenderClient(program.address, timeout_s=20, config=NO_RETRIES) as client:
        before = client.recommend("42", k=5)
        old = model_process(program.process.pid)

        os.kill(old, signal.SIGKILL)
        wait_until(lambda: client.check_health() is HealthStatus.NOT_SERVING)
        with pytest.raises(UnavailableError):
            client.recommend("42", k=5)
        wait_until(lambda: client.check_health() is HealthStatus.SERVING)

        assert model_process(program.process.pid) != old
        assert client.recommend("42", k=5) == before


@pytest.mark.long
def test_a_model_process_that_hangs_is_ended_and_replaced(program: object) -> None:
    with RecommenderClient(program.address, timeout_s=20, config=NO_RETRIES) as client:
        before = client.recommend("42", k=5)
        old = model_process(program.process.pid)

        os.kill(old, signal.SIGSTOP)
        with pytest.raises(UnavailableError):
            client.recommend("42", k=5)
        wait_until(lambda: not is_running(old))
        wait_until(lambda: client.check_health() is HealthStatus.SERVING)

        assert client.recommend("42", k=5) == before


def test_the_model_process_leaves_signals_to_its_server(program: object) -> None:
    child = model_process(program.process.pid)
    with RecommenderClient(program.address, timeout_s=20) as client:
        for sent in (signal.SIGINT, signal.SIGTERM):
            os.kill(child, sent)

        assert len(client.recommend("42", k=5)) == 5


def test_the_model_process_ends_with_its_server_however_that_ends(program: object) -> None:
    child = model_process(program.process.pid)

    program.process.kill()
    program.process.wait(30)

    wait_until(lambda: not is_running(child))


@pytest.mark.long
def test_a_stop_while_the_model_hangs_leaves_no_process_behind(
    trained: object, serve: Serve
) -> None:
    flags = ("--models", trained.models_dir, "--watchdog", "2", "--grace", "0.2")
    with serve(*flags) as program, ThreadPoolExecutor(1) as threads:
        address = program.wait_for("serving").rpartition(" ")[2]
        child = model_process(program.process.pid)
        with RecommenderClient(address, timeout_s=20, config=NO_RETRIES) as client:
            os.kill(child, signal.SIGSTOP)
            held = threads.submit(client.recommend, "42")
            time.sleep(0.5)

            assert program.stop() == 0
            assert isinstance(held.exception(30), UnavailableError)
        wait_until(lambda: not is_running(child))
