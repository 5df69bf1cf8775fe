"""What becomes of single calls: statuses, sizes, streams and what is sent along."""

import asyncio
import math
import struct

import grpc
import pytest
from engine import ASK, at_rate, send, serving

from recserve_client.loadtest.plan import Question


async def test_answers_with_a_message_are_ok_and_refusals_go_by_status() -> None:
    asked: list[bytes] = []

    async def every_third_refused(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        asked.append(request)
        if len(asked) % 3 == 0:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
        return b"answer"

    async with serving(every_third_refused) as (_, port):
        found = await send(port, at_rate(400))

    assert set(asked) == {b"abc"}
    assert found.started == len(asked) == 100
    assert found.errors == {"RESOURCE_EXHAUSTED": 33}
    assert found.ok == found.latency.count == 67
    assert found.error_share == pytest.approx(0.33)
    assert found.client.unsent == 0


async def test_a_refusal_after_headers_is_no_answer() -> None:
    async def headers_then_refused(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        await context.send_initial_metadata((("x-request-id", "7"),))
        await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "late")

    async with serving(headers_then_refused) as (_, port):
        found = await send(port, at_rate(200))

    assert (found.ok, found.errors) == (0, {"DEADLINE_EXCEEDED": found.started})
    assert found.latency.p50_ms is None
    assert found.ok_per_s == 0


async def test_a_refusal_with_details_has_its_own_status() -> None:
    async def detailed(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\x08\x08" * 40),))
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "würde" * 30)

    async with serving(detailed) as (_, port):
        found = await send(port, at_rate(100))

    assert found.errors == {"FAILED_PRECONDITION": found.started}


@pytest.mark.parametrize("size", [0, 20_000, 300_000])
async def test_answers_of_any_size_arrive(size: int) -> None:
    async def sized(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        return bytes(size)

    async with serving(sized) as (_, port):
        found = await send(port, at_rate(100))

    assert (found.ok, found.errors) == (25, {})


@pytest.mark.parametrize("size", [16_379, 16_380, 65_600, 1_000_000])
async def test_requests_of_any_size_arrive_whole(size: int) -> None:
    received: list[bytes] = []

    async def keep(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        received.append(request)
        return b"answer"

    message = b"".join(struct.pack(">I", number) for number in range(math.ceil(size / 4)))[:size]
    async with serving(keep) as (_, port):
        found = await send(port, at_rate(100, 0.2), [Question(ASK.method, message)])

    assert (found.ok, found.errors) == (20, {})
    assert received == [message] * 20


async def test_a_burst_larger_than_the_window_of_the_connection_waits_for_it() -> None:
    async def length(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        assert len(request) in (16_000, 60_000)
        return b"answer"

    questions = [Question(ASK.method, bytes(16_000)), Question(ASK.method, bytes(60_000))]
    async with serving(length) as (_, port):
        found = await send(port, at_rate(2_000, 0.1), questions, connections=1)

    assert (found.ok, found.errors) == (200, {})


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
        found = await send(port, at_rate(400), connections=2)

    assert most <= 2
    assert (found.ok, found.errors) == (found.started, {})


async def test_deadline_and_metadata_reach_the_server() -> None:
    seen: list[tuple[float | None, dict[str, str | bytes]]] = []

    async def asked(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        seen.append((context.time_remaining(), dict(context.invocation_metadata())))
        return b"answer"

    metadata = (("authorization", "Bearer " + "x" * 500),)
    async with serving(asked) as (_, port):
        await send(port, at_rate(50), timeout_s=60.0, metadata=metadata)
        limited = seen.copy()
        seen.clear()
        await send(port, at_rate(50), timeout_s=None)

    for remaining_s, received in limited:
        assert remaining_s is not None
        assert 0 < remaining_s <= 60
        assert received["authorization"] == metadata[0][1]
        assert received["x-request-id"] == "loadtest"
        assert str(received["user-agent"]).startswith("recserve-loadtest/")
    assert all(remaining_s is None or remaining_s > 10**6 for remaining_s, _ in seen)
