import asyncio
import contextlib
import select
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from http2_connection import Connection, Outcomes
from http2_frames import ACK, PING, SETTINGS, Request, frame, window_update
from open_loop import run, run_apart
from open_loop_report import Load, Report

PATH = "/films.Films/Ask"
REQUEST = Request(PATH, struct.pack(">BI", 0, 3) + b"abc")
LOAD = Load(rate_per_s=400, seconds=0.5, connections=2, warmup_s=0, patience_s=30)

Handler = Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]]


@contextlib.asynccontextmanager
async def serving(handler: Handler, **options: int) -> AsyncIterator[tuple[grpc.aio.Server, int]]:
    server = grpc.aio.server(options=[(f"grpc.{name}", value) for name, value in options.items()])
    method = grpc.unary_unary_rpc_method_handler(handler)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("films.Films", {"Ask": method})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield server, port
    finally:
        await server.stop(0)


async def send(port: int, request: Request = REQUEST, load: Load = LOAD) -> Report:
    return await asyncio.to_thread(run, "127.0.0.1", port, request, load)


async def test_answers_with_a_message_are_accepted_and_those_without_refused() -> None:
    asked: list[bytes] = []

    async def every_third_refused(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        asked.append(request)
        if len(asked) % 3 == 0:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        return b"answer"

    async with serving(every_third_refused) as (_, port):
        report = await send(port)

    assert set(asked) == {b"abc"}
    assert report.sent == len(asked) > 100
    assert report.refused == {"8": len(asked) // 3}
    assert report.accepted == len(asked) - len(asked) // 3
    assert (report.failed, report.unanswered) == ({}, 0)
    assert None not in report.latency_ms.values()


async def test_a_refusal_after_headers_is_no_answer() -> None:
    async def headers_then_refused(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        await context.send_initial_metadata((("x-request-id", "7"),))
        await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "late")

    async with serving(headers_then_refused) as (_, port):
        report = await send(port)

    assert (report.accepted, report.refused) == (0, {"4": report.sent})
    assert set(report.latency_ms.values()) == {None}


async def test_answers_larger_than_any_first_window_arrive() -> None:
    async def large(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        return bytes(300_000)

    async with serving(large) as (_, port):
        report = await send(port)

    assert report.accepted == report.sent
    assert report.failed == {}


async def test_no_more_streams_are_open_than_the_server_allows() -> None:
    running, most = 0, 0

    async def counted(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return b"answer"

    async with serving(counted, max_concurrent_streams=1) as (_, port):
        report = await send(port)

    assert most <= LOAD.connections
    assert report.accepted == report.sent
    assert report.failed == {}


async def test_a_large_request_waits_for_the_window_of_the_connection() -> None:
    async def length(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        assert len(request) == 16_000
        return b"answer"

    request = Request(PATH, struct.pack(">BI", 0, 16_000) + bytes(16_000))
    burst = Load(rate_per_s=50_000, seconds=0.01, connections=1, warmup_s=0, patience_s=30)
    async with serving(length) as (_, port):
        report = await send(port, request, burst)

    assert report.accepted == report.sent
    assert report.failed == {}


@pytest.fixture
def peers() -> Iterator[tuple[Connection, socket.socket]]:
    """A connection whose server is the test, and asks with 16,000 bytes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        request = Request(PATH, bytes(16_000))
        connection = Connection("127.0.0.1", listener.getsockname()[1], request, Outcomes())
        peer, _ = listener.accept()
    with connection.socket, peer:
        tell((connection, peer), frame(SETTINGS, 0, 0, b""))
        yield connection, peer


def tell(peers: tuple[Connection, socket.socket], frames: bytes) -> None:
    connection, peer = peers
    peer.sendall(frames)
    select.select([connection.socket], (), ())
    connection.receive(0.0)


def sent(peers: tuple[Connection, socket.socket]) -> bytes:
    connection, peer = peers
    with ThreadPoolExecutor(1) as reader:
        received = reader.submit(lambda: b"".join(iter(lambda: peer.recv(65_536), b"")))
        while not connection.flush():
            select.select((), [connection.socket], ())
        connection.socket.shutdown(socket.SHUT_WR)
        return received.result()


def test_a_ping_is_answered(peers: tuple[Connection, socket.socket]) -> None:
    tell(peers, frame(PING, 0, 0, b"pingpong"))

    assert sent(peers).endswith(frame(PING, ACK, 0, b"pingpong"))


@pytest.mark.parametrize(("granted", "expected"), [(0, 4), (15_000, 5)])
def test_requests_wait_for_the_window_that_the_server_grants(
    peers: tuple[Connection, socket.socket], granted: int, expected: int
) -> None:
    for _ in range(10):
        peers[0].ask(0.0)
    if granted:
        tell(peers, window_update(granted))

    assert peers[0].unanswered == 10
    assert sent(peers).count(bytes(16_000)) == expected  # 65,535 bytes may go at first


async def test_a_deadline_reaches_the_server() -> None:
    remaining: list[float | None] = []

    async def asked(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        remaining.append(context.time_remaining())
        return b"answer"

    async with serving(asked) as (_, port):
        await send(port)
        assert all(time_s is None or time_s > 10**6 for time_s in remaining)
        remaining.clear()
        await send(port, Request(PATH, REQUEST.body, timeout_ms=60_000))

    assert all(time_s is not None and 0 < time_s <= 60 for time_s in remaining)


async def test_a_server_that_goes_away_makes_the_run_no_measurement() -> None:
    arrived = asyncio.Event()

    async def silent(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        arrived.set()
        await asyncio.Event().wait()
        return b""

    async with serving(silent) as (server, port):
        sending = asyncio.create_task(send(port))
        await arrived.wait()
        await server.stop(0)
        report = await sending

    assert (report.accepted, report.unanswered) == (0, 0)
    assert sum(report.failed.values()) + sum(report.refused.values()) == report.sent
    assert "failed" in report.problem


async def test_the_program_prints_the_same_report(tmp_path: Path) -> None:
    async def answer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        return b"answer"

    file = tmp_path / "request"
    file.write_bytes(REQUEST.body)
    load = Load(rate_per_s=200, seconds=0.5)
    async with serving(answer) as (_, port):
        report = await asyncio.to_thread(run_apart, f"127.0.0.1:{port}", file, REQUEST, load)

    assert report["accepted"] == report["sent"] > 0
    assert (report["refused"], report["failed"]) == ({}, {})


def test_no_server_is_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "request"
    file.write_bytes(REQUEST.body)

    with pytest.raises(RuntimeError, match=r"^open_loop: .*refused$"):
        run_apart("127.0.0.1:1", file, REQUEST, LOAD)


@pytest.mark.parametrize("size", [4, 16_385])
def test_a_body_that_is_no_single_frame_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"the request has {size} bytes, 5 to 16384 fit"):
        Request(PATH, bytes(size))
