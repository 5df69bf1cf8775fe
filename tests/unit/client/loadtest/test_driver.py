import asyncio

import grpc
import pytest
from engine import ASK, PATIENT_S, answer, at_rate, in_flight, send, send_sampling, serving

from recserve_client.loadtest.plan import Arrivals, OpenLoop, Question, Stage


async def test_a_call_whose_time_runs_out_is_cancelled_at_the_server() -> None:
    begun, cancelled = 0, 0

    async def silent(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        nonlocal begun, cancelled
        begun += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled += 1
            raise
        return b""

    async with serving(silent) as (_, port):
        found = await send(port, at_rate(100), timeout_s=1.0)
        async with asyncio.timeout(PATIENT_S):
            while cancelled < begun:
                await asyncio.sleep(0.01)

    assert begun == found.started == 25
    assert (found.ok, found.errors) == (0, {"DEADLINE_EXCEEDED": 25})
    assert found.client.unsent == 0


async def test_a_call_that_never_gets_a_stream_ends_by_its_deadline_and_is_told() -> None:
    begun = 0

    async def silent(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        nonlocal begun
        begun += 1
        await asyncio.Event().wait()
        return b""

    async with serving(silent, max_concurrent_streams=1) as (_, port):
        found = await send(port, at_rate(100), timeout_s=0.4, connections=1)

    assert found.errors == {"DEADLINE_EXCEEDED": 25}
    assert 0 < found.client.unsent <= 25 - begun
    assert any("never sent" in warning for warning in found.warnings)


@pytest.mark.long
async def test_without_a_timeout_patience_ends_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recserve_client.loadtest.driver._PATIENCE_S", 0.3)
    cancelled = asyncio.Event()

    async def silent(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return b""

    async with serving(silent) as (_, port):
        found = await send(port, at_rate(40), timeout_s=None)
        await asyncio.wait_for(cancelled.wait(), PATIENT_S)

    assert found.errors == {"NO_ANSWER": 10}


@pytest.mark.long
async def test_a_closed_loop_keeps_its_calls_in_flight_and_shares_them_out() -> None:
    running: dict[str, int] = {}
    most: dict[str, int] = {}

    async def counted(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        peer = context.peer()
        running[peer] = running.get(peer, 0) + 1
        most[peer] = max(most.get(peer, 0), running[peer])
        await asyncio.sleep(0.01)
        running[peer] -= 1
        return b"answer"

    async with serving(counted) as (_, port):
        found = await send(port, in_flight(7, 0.5), connections=3)

    assert sorted(most.values()) == [2, 2, 3]
    assert found.started == found.ok > 14
    assert (found.mode, found.concurrency, found.rate_per_s) == ("closed", 7, None)
    assert found.client.lag_max_ms == 0


@pytest.mark.long
async def test_a_closed_loop_calls_again_only_after_a_pause_where_a_call_failed() -> None:
    asked = 0

    async def refused(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        nonlocal asked
        asked += 1
        await context.abort(grpc.StatusCode.UNAVAILABLE, "not ready")

    async with serving(refused) as (_, port):
        found = await send(port, in_flight(2, 0.5))

    assert found.errors == {"UNAVAILABLE": asked}
    assert 2 <= asked <= 2 * 51


async def test_questions_are_asked_in_turn() -> None:
    asked: list[bytes] = []

    async def keep(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        asked.append(request)
        return b"answer"

    questions = [Question(ASK.method, bytes([number])) for number in range(3)]
    async with serving(keep) as (_, port):
        await send(port, at_rate(20), questions, connections=1)

    assert asked == [bytes([number % 3]) for number in range(5)]


async def test_a_recording_asks_the_question_of_each_time() -> None:
    asked: list[bytes] = []

    async def keep(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        asked.append(request)
        return b"answer"

    questions = [Question(ASK.method, bytes([number])) for number in range(4)]
    pressure = OpenLoop(rate_per_s=8, arrivals=Arrivals.RECORDED)
    stage = Stage(pressure=pressure, seconds=0.25, warmup_s=0.2)
    async with serving(keep) as (_, port):
        found = await send(port, stage, questions, times_s=[-9, -0.1, 0.1, 0.2], connections=1)

    assert asked == [b"\x01", b"\x02", b"\x03"]
    assert found.started == found.ok == 2
    assert found.arrivals == "recorded"


async def test_warmup_is_sent_but_not_counted() -> None:
    asked = 0

    async def count(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        nonlocal asked
        asked += 1
        return b"answer"

    async with serving(count) as (_, port):
        found = await send(port, at_rate(100, 0.5, warmup_s=0.5))

    assert asked == 100
    assert found.started == found.ok == 50


async def test_windows_add_up_to_the_stage() -> None:
    async with serving(answer) as (_, port):
        found = await send(port, at_rate(200, 0.7), window_s=0.2)

    assert [window.start_s for window in found.windows] == pytest.approx([0, 0.2, 0.4, 0.6])
    assert [window.seconds for window in found.windows] == pytest.approx([0.2, 0.2, 0.2, 0.1])
    assert [window.started for window in found.windows] == [40, 40, 40, 20]
    assert sum(window.ok for window in found.windows) == found.ok == 140
    assert sum(window.latency.count for window in found.windows) == 140
    assert {window.rate_per_s for window in found.windows} == {200}


async def test_answers_after_the_end_are_in_the_last_window_but_in_no_throughput() -> None:
    async def late(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        await asyncio.sleep(0.4)
        return b"answer"

    async with serving(late) as (_, port):
        found = await send(port, at_rate(100, 0.5), window_s=0.25)

    assert (found.started, found.ok) == (50, 50)
    assert (found.windows[0].ok, found.windows[1].ok) == (0, 50)
    assert found.ok_per_s < 0.5 * 50 / 0.5


@pytest.mark.long
async def test_throughput_is_what_was_answered_in_time_be_it_asked_in_the_warmup() -> None:
    async def slow(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        await asyncio.sleep(0.5)
        return b"answer"

    async with serving(slow) as (_, port):
        found = await send(port, at_rate(100, 1.0, warmup_s=1.0))

    assert found.ok_per_s == pytest.approx(100, abs=25)


async def test_some_answers_are_kept_spread_over_the_stage() -> None:
    asked = 0

    async def numbered(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        nonlocal asked
        asked += 1
        if asked % 2:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "")
        return asked.to_bytes(2, "big") + bytes(40_000)

    async with serving(numbered) as (_, port):
        _, kept = await send_sampling(port, at_rate(1000, 1.0))

    numbers = [int.from_bytes(message[:2], "big") for _, message in kept]
    assert 50 <= len(kept) <= 200
    assert {(method, len(message)) for method, message in kept} == {(ASK.method, 40_002)}
    assert min(numbers) < 200
    assert max(numbers) > 800
