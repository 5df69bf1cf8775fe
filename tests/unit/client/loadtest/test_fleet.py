import contextlib
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest
from engine import ASK, at_rate, in_flight

from recserve_client import RecommenderError, UnavailableError
from recserve_client.loadtest.fleet import Fleet, WorkerError
from recserve_client.loadtest.plan import Arrivals, Endpoint, OpenLoop, PlanError, Question, Stage
from recserve_client.loadtest.result import Window

LONG_S = 60.0


class Echo(grpc.GenericRpcHandler):
    """Answers with the request; counts by peer."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def _answer(self, request, context):
        self.asked[context.peer()] += 1
        return request


@contextlib.contextmanager
def serving(handler: grpc.GenericRpcHandler) -> Iterator[int]:
    with futures.ThreadPoolExecutor(8) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers([handler])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield port
        server.stop(None).wait()


@pytest.fixture(scope="module")
def echo() -> Echo:
    return Echo()


@pytest.fixture(scope="module")
def port(echo: Echo) -> Iterator[int]:
    with serving(echo) as port:
        yield port


@pytest.fixture(scope="module")
def fleet(port: int) -> Iterator[Fleet]:
    questions = [Question(ASK.method, bytes([number])) for number in range(4)]
    endpoint = Endpoint(host="127.0.0.1", port=port, connections=3, timeout_s=30)
    with Fleet(endpoint, questions, processes=2, seed=7) as fleet:
        yield fleet


def test_two_processes_share_an_open_loop(fleet: Fleet, echo: Echo) -> None:
    echo.asked.clear()
    windows: list[Window] = []
    found = fleet.run(at_rate(100, 1.5, warmup_s=0.2), on_window=windows.append)

    assert (found.started, found.ok, found.errors) == (150, 150, {})
    assert len(found.client.cpu_shares) == found.client.processes == 2
    assert found.windows == tuple(windows)
    assert [(window.started, window.seconds) for window in windows] == [(100, 1), (50, 0.5)]
    # A process has two connections, the other one; each sends half.
    assert sorted(echo.asked.values()) == pytest.approx([42, 43, 85], abs=2)


def test_answers_are_kept_for_the_caller_to_read(fleet: Fleet) -> None:
    fleet.run(at_rate(100, 0.5))

    assert len(fleet.samples) == 50
    assert {method for method, _ in fleet.samples} == {ASK.method}
    assert {message for _, message in fleet.samples} == {bytes([number]) for number in range(4)}


def test_two_processes_share_a_closed_loop(fleet: Fleet, echo: Echo) -> None:
    echo.asked.clear()
    found = fleet.run(in_flight(3, 0.5))

    assert found.ok == found.started == echo.asked.total() > 6
    assert len(echo.asked) == 3
    assert 0 < found.ok_per_s <= found.ok / 0.5


def test_two_processes_share_a_recording(fleet: Fleet, echo: Echo) -> None:
    echo.asked.clear()
    stage = Stage(
        pressure=OpenLoop(rate_per_s=10, arrivals=Arrivals.RECORDED), seconds=0.5, warmup_s=0
    )
    found = fleet.run(stage, times_s=[0.0, 0.1, 0.2, 0.3, 9.0])

    assert found.ok == found.started == echo.asked.total() == 4
    assert {message for _, message in fleet.samples} == {bytes([number]) for number in range(4)}
    with pytest.raises(PlanError, match="arrivals are recorded, but there are no times"):
        fleet.run(stage)


@pytest.mark.long
def test_each_stage_has_arrivals_of_its_own(fleet: Fleet) -> None:
    stage = Stage(pressure=OpenLoop(rate_per_s=400), seconds=0.5, warmup_s=0)
    started = {fleet.run(stage).started for _ in range(3)}

    assert len(started) > 1
    assert all(100 < each < 300 for each in started)


def test_a_stage_can_be_stopped(fleet: Fleet) -> None:
    windows: list[Window] = []
    found = fleet.run(
        at_rate(100, 600), on_window=windows.append, should_stop=lambda: len(windows) >= 1
    )

    assert 1 <= found.seconds < 60
    assert found.ok == found.started == pytest.approx(100 * found.seconds, abs=2)
    assert found.ok_per_s == pytest.approx(100, rel=0.5)
    assert sum(window.seconds for window in windows) == pytest.approx(found.seconds)
    assert found.windows == tuple(windows)


def test_a_stage_can_be_stopped_during_warmup(fleet: Fleet) -> None:
    found = fleet.run(at_rate(100, 600, warmup_s=600), should_stop=lambda: True)

    assert (found.seconds, found.started, found.ok_per_s, found.windows) == (0, 0, 0, ())


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("127.0.0.1", r"^127\.0\.0\.1:1 cannot be reached: Connection refused$"),
        ("no.such.host.invalid", r"^no\.such\.host\.invalid:1 cannot be reached: .+"),
    ],
)
def test_an_endpoint_that_is_not_there_is_told(host: str, told: str) -> None:
    with pytest.raises(UnavailableError, match=told):
        Fleet(Endpoint(host=host, port=1), [ASK], processes=2)


@pytest.mark.parametrize(
    ("questions", "processes", "told"),
    [
        ([], 1, "there is no question to ask"),
        ([ASK], 0, "processes is 0, must be from 1 to 64"),
        ([Question("Ask", b"")], 1, "method is 'Ask'"),
    ],
)
def test_a_plan_that_cannot_be_run_is_told(questions, processes: int, told: str) -> None:
    with pytest.raises(PlanError, match=told):
        Fleet(Endpoint(host="127.0.0.1", port=1), questions, processes=processes)


def test_a_process_that_dies_is_told(port: int) -> None:
    before = set(multiprocessing.active_children())
    with Fleet(Endpoint(host="127.0.0.1", port=port), [ASK]) as fleet:
        [process] = set(multiprocessing.active_children()) - before

        def kill() -> bool:
            process.kill()
            return False

        with pytest.raises(WorkerError, match=r"^process 1 of 1 .* ended with exit code -9$"):
            fleet.run(at_rate(10, 60), should_stop=kill)
        with pytest.raises(RecommenderError):
            fleet.run(at_rate(10, 60))


PROGRAM = """
import multiprocessing
from recserve_client.loadtest.fleet import Fleet
from recserve_client.loadtest.plan import *

if __name__ == "__main__":
    endpoint = Endpoint(host="127.0.0.1", port={port})
    with Fleet(endpoint, [Question("/a.B/C", b"")], processes=2) as fleet:
        print(*(each.pid for each in multiprocessing.active_children()), flush=True)
        stage = Stage(pressure=OpenLoop(rate_per_s=10), seconds=600, warmup_s=0)
        fleet.run(stage)
"""


@contextlib.contextmanager
def running(port: int, tmp_path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Runs the program above in a process group of its own; yields it and its children's ids."""
    file = tmp_path / "program.py"
    file.write_text(textwrap.dedent(PROGRAM.format(port=port)))
    with subprocess.Popen(
        [sys.executable, str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as program:
        try:
            assert program.stdout is not None
            yield program, [int(pid) for pid in program.stdout.readline().split()]
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)


def assert_end(pids: list[int]) -> None:
    assert len(pids) == 2
    give_up_s = time.monotonic() + LONG_S
    for pid in pids:
        while is_running(pid):
            assert time.monotonic() < give_up_s, f"{pid} still runs"
            time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        return state.rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_ctrl_c_ends_all_processes_with_one_word_from_the_first(port: int, tmp_path) -> None:
    with running(port, tmp_path) as (program, pids):
        os.killpg(program.pid, signal.SIGINT)
        _, told = program.communicate(timeout=LONG_S)
        assert_end(pids)

    assert program.returncode != 0
    assert told.count("Traceback") == 1
    assert told.rstrip().endswith("KeyboardInterrupt")


def test_processes_do_not_outlive_who_started_them(port: int, tmp_path) -> None:
    with running(port, tmp_path) as (program, pids):
        program.kill()
        _, told = program.communicate(timeout=LONG_S)
        assert_end(pids)

    assert told == ""


def test_a_fleet_that_is_idle_keeps_its_connections() -> None:
    echo = Echo()
    with serving(echo) as port, Fleet(Endpoint(host="127.0.0.1", port=port), [ASK]) as fleet:
        found = [fleet.run(in_flight(8, 0.2)) for _ in range(2)]

    assert [each.errors for each in found] == [{}, {}]
    assert len(echo.asked) == 8


def test_a_fleet_closes_its_connections() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = Endpoint(host="127.0.0.1", port=listener.getsockname()[1], connections=1)
        with futures.ThreadPoolExecutor(1) as thread:
            starting = thread.submit(Fleet, endpoint, [ASK])
            peer, _ = listener.accept()
            with peer:
                peer.settimeout(LONG_S)
                peer.sendall(b"\0\0\0\4\0\0\0\0\0")
                starting.result().close()
                assert b"".join(iter(lambda: peer.recv(2**16), b"")).startswith(b"PRI * HTTP/2.0")
