"""Ten times as many calls as the server can answer."""

import asyncio
import time
from collections import Counter
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from hostile_world import best
from raw_http2 import QUESTION, RECOMMEND
from server_process import ServerProcess, server_process

from recserve.v1 import recommendation_service_pb2 as pb

pytestmark = pytest.mark.long
BATCH_S, BATCH_SIZE = 0.05, 4
CAPACITY_PER_S = BATCH_SIZE / BATCH_S
SECONDS = 5.0
SHED = {"RESOURCE_EXHAUSTED", "UNAVAILABLE", "DEADLINE_EXCEEDED"}


async def ask(channel: grpc.aio.Channel, ended: "Counter[str]") -> None:
    """Makes one call, which may wait for a second, and counts how it ended."""
    try:
        encoded = await channel.unary_unary(RECOMMEND)(QUESTION, timeout=1.0)
    except grpc.aio.AioRpcError as error:
        ended[error.code().name] += 1
        if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and retry_delay_s(error) <= 0:
            raise AssertionError("a refusal asks to be repeated at once") from error
        return
    answer = pb.RecommendResponse.FromString(encoded)
    assert [item.item_id for item in answer.items] == best(0, 3)
    ended["OK"] += 1


def retry_delay_s(error: grpc.aio.AioRpcError) -> float:
    encoded = dict(error.trailing_metadata())["grpc-status-details-bin"]
    for detail in status_pb2.Status.FromString(encoded).details:
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(retry):
            return retry.retry_delay.ToTimedelta().total_seconds()
    raise AssertionError("a refusal does not say when to come back")


async def flood(server: ServerProcess) -> "Counter[str]":
    """Offers ten times the capacity at a steady rate."""
    ended: Counter[str] = Counter()
    async with grpc.aio.insecure_channel(server.address) as channel, asyncio.TaskGroup() as group:
        start_s = time.monotonic()
        for number in range(int(10 * CAPACITY_PER_S * SECONDS)):
            due_s = start_s + number / (10 * CAPACITY_PER_S)
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            group.create_task(ask(channel, ended))
    return ended


async def test_what_can_be_answered_is_and_the_rest_is_refused_in_time(tmp_path: Path) -> None:
    flags = ("--batch-s", BATCH_S, "--max-batch-size", BATCH_SIZE)
    with server_process(tmp_path, *flags) as server:
        server.check_answers()
        server.slow_down()
        server.forget_peak()
        before_bytes = server.peak_bytes()

        ended = await flood(server)

        assert set(ended) <= {"OK", *SHED}
        assert ended["OK"] > 0.7 * CAPACITY_PER_S * SECONDS
        assert server.peak_bytes() - before_bytes < 64 << 20
        start_s = time.monotonic()
        await asyncio.to_thread(server.wait_until_well)
        assert time.monotonic() - start_s < 5
        assert server.defects() == []
