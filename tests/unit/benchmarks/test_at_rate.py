import contextlib
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path

import at_rate
import grpc
import pytest
from h2load import Question

from recserve_client import UnavailableError

LOAD = at_rate.Load(rate_per_s=200, seconds=0.5, seed=1, connections=2, warmup_s=0)

Answer = Callable[[bytes, grpc.ServicerContext], bytes]


@contextlib.contextmanager
def serving(answer: Answer) -> Iterator[tuple[grpc.Server, str]]:
    with futures.ThreadPoolExecutor(8) as pool:
        server = grpc.server(pool)
        method = grpc.unary_unary_rpc_method_handler(answer)
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler("films.Films", {"Ask": method})]
        )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield server, f"127.0.0.1:{port}"
        server.stop(None).wait()


@pytest.fixture
def question(tmp_path: Path) -> Question:
    file = tmp_path / "request"
    file.write_bytes(struct.pack(">BI", 0, 3) + b"abc")
    return Question("/films.Films/Ask", file)


def test_accepted_and_refused_calls_are_reported(question: Question) -> None:
    asked: list[bytes] = []

    def every_third_refused(request: bytes, context: grpc.ServicerContext) -> bytes:
        asked.append(request)
        if len(asked) % 3 == 0:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        return b"answer"

    with serving(every_third_refused) as (_, target):
        report = at_rate.measure(target, question, LOAD)

    assert set(asked) == {b"abc"}
    assert report["sent"] == len(asked) > 50
    assert report["refused"] == {"RESOURCE_EXHAUSTED": len(asked) // 3}
    assert report["accepted"] == len(asked) - len(asked) // 3
    assert report["failed"] == {}
    assert 0 < report["goodput_per_s"] <= report["accepted"] / 0.5
    assert all(report["latency_ms"][name] > 0 for name in ("p50", "p90", "p99", "max"))


def test_a_server_that_goes_away_makes_the_run_no_measurement(question: Question) -> None:
    arrived = threading.Event()

    def silent(request: bytes, context: grpc.ServicerContext) -> bytes:
        arrived.set()
        context.add_callback(released.set)
        released.wait(60)
        return b""

    released = threading.Event()
    with serving(silent) as (server, target), futures.ThreadPoolExecutor(1) as thread:
        measuring = thread.submit(at_rate.measure, target, question, LOAD)
        arrived.wait(60)
        server.stop(None)
        report = measuring.result()

    assert report["accepted"] == 0
    assert sum(report["failed"].values()) + sum(report["refused"].values()) == report["sent"]
    assert "failed" in report["problem"]


def test_a_server_that_is_not_there_is_told(question: Question) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)

    with pytest.raises(UnavailableError, match=r"^127\.0\.0\.1:1 cannot be reached: .*refused$"):
        at_rate.measure("127.0.0.1:1", question, LOAD)

    assert os.getpriority(os.PRIO_PROCESS, 0) == before


def test_the_sink_answers_every_call(question: Question) -> None:
    sink = Path(at_rate.__file__).with_name("sink.py")
    with subprocess.Popen([sys.executable, str(sink)], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            report = at_rate.measure(f"127.0.0.1:{port}", question, LOAD)
        finally:
            server.terminate()

    assert report["accepted"] == report["sent"] > 50
    assert (report["refused"], report["failed"]) == ({}, {})
