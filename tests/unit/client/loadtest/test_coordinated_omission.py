"""A server that stalls must not hide it by making its clients wait."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Iterator

import grpc
import pytest
from engine import at_rate, in_flight, send, serving

from recserve_client.loadtest.latency import LatencyRecorder
from recserve_client.loadtest.result import StageResult

# Alone on the machine: what else runs would stall the client, too.
pytestmark = pytest.mark.long

STALL_S = 1.0


@pytest.fixture(autouse=True)
def spare_what_stays() -> Iterator[None]:
    """Leaves alone what tests before have made: to look through it all stalls the client, too."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@contextlib.asynccontextmanager
async def stalling_once() -> AsyncIterator[int]:
    """Serves on a port; a second after the first call, holds all answers back for a second."""
    is_open = asyncio.Event()
    is_open.set()
    stalls: list[asyncio.Task[None]] = []

    async def stall() -> None:
        await asyncio.sleep(1.0)
        is_open.clear()
        await asyncio.sleep(STALL_S)
        is_open.set()

    async def answer(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        if not stalls:
            stalls.append(asyncio.create_task(stall()))
        await is_open.wait()
        return b"answer"

    async with serving(answer) as (_, port):
        yield port
        await asyncio.gather(*stalls)


def share_above(found: StageResult, limit_ms: float) -> float:
    recorder = LatencyRecorder.decode(found.histogram)
    slow = [each for each in range(1, 1000) if (recorder.percentile_ms(each / 10) or 0) > limit_ms]
    return len(slow) / 1000


async def ask_open_loop() -> StageResult:
    """Asks a server that stalls; again if the client says that it was stalled itself."""
    for _ in range(5):
        async with stalling_once() as port:
            found = await send(port, at_rate(200, 3.0))
        if found.client.lag_max_ms < 50:
            return found
    raise AssertionError(f"the machine is too busy: {found.warnings}")


async def test_an_open_loop_tells_of_a_stall_as_long_as_it_was_for_all_it_would_have_met() -> None:
    found = await ask_open_loop()

    assert found.started == found.ok == 600
    assert found.latency.max_ms is not None
    assert found.latency.p99_ms is not None
    assert found.latency.max_ms >= 900
    assert found.latency.p99_ms >= 500
    # All that were meant to leave in the first 0.9 s of the stall: 180 of 600.
    assert 0.2 < share_above(found, 100) < 0.45


async def test_a_closed_loop_meets_the_stall_only_once() -> None:
    async with stalling_once() as port:
        found = await send(port, in_flight(1, 3.0), connections=1)

    assert found.latency.max_ms is not None
    assert found.latency.max_ms >= 900
    assert share_above(found, 100) < 0.1
