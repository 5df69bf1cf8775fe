"""Thousands of health watchers at a time."""

import asyncio
import contextlib
import signal
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from server_process import MIB, ServerProcess, server_process

CHANNELS, AT_ONCE = 20, 500
APART = [("grpc.use_local_subchannel_pool", 1)]
"""Options of a channel: otherwise gRPC has channels to the same address share a connection."""
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
MOST_BYTES = 40 * 1024
"""A watcher's share of the server's memory: a call, a coroutine, a stream."""


class Watchers:
    """Health watches over several connections."""

    def __init__(self) -> None:
        self._calls: list[grpc.aio.UnaryStreamCall] = []

    async def arrive(self, channels: list[grpc.aio.Channel], count: int) -> set[int]:
        """Begins `count` watches, no more at once than may be pending; returns what they see."""
        request, seen = health_pb2.HealthCheckRequest(), set()
        for first in range(0, count, AT_ONCE):
            calls = [
                health_pb2_grpc.HealthStub(channels[number % len(channels)]).Watch(request)
                for number in range(first, min(first + AT_ONCE, count))
            ]
            seen |= await _next(calls)
            self._calls += calls
        return seen

    async def seen(self) -> set[int]:
        """Returns all that the watchers are told next."""
        return await _next(self._calls)


async def _next(calls: list[grpc.aio.UnaryStreamCall]) -> set[int]:
    async with asyncio.timeout(60):
        return {answer.status for answer in await asyncio.gather(*(call.read() for call in calls))}


async def watch(server: ServerProcess, count: int) -> None:
    server.forget_peak()
    before_bytes = server.peak_bytes()
    async with contextlib.AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(server.address, APART))
            for _ in range(CHANNELS)
        ]
        watchers = Watchers()

        assert await watchers.arrive(channels, count) == {SERVING}
        await asyncio.to_thread(server.check_answers)
        server.process.send_signal(signal.SIGTERM)
        assert await watchers.seen() == {NOT_SERVING}
        await asyncio.to_thread(server.check_answers)  # drains, and still answers
        assert server.peak_bytes() - before_bytes < count * MOST_BYTES + 16 * MIB


@pytest.mark.parametrize("count", [300, pytest.param(4000, marks=pytest.mark.long)])
async def test_all_watchers_are_told_and_callers_are_answered(tmp_path: Path, count: int) -> None:
    with server_process(tmp_path, "--drain-delay", 60) as server:
        await watch(server, count)


@pytest.mark.usefixtures("unharmed")
async def test_watchers_who_leave_take_nothing_along(attacked: ServerProcess) -> None:
    before = attacked.open_files()
    for _ in range(3):
        async with grpc.aio.insecure_channel(attacked.address, APART) as channel:
            assert await Watchers().arrive([channel], 200) == {SERVING}

    await asyncio.to_thread(attacked.wait_for_files, before)
