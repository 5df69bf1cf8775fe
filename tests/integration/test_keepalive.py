"""The client's pings and what the server takes, on a scale of tenths of seconds."""

import asyncio
import dataclasses

import grpc
import pytest

from recserve_client import AsyncRecommenderClient, ChannelConfig
from recserve_server.config import ConnectionsConfig, ServerConfig
from recserve_server.testing import running_server


async def watched_for(seconds: float, target: str, keepalive_s: float) -> list[str]:
    """Keeps a call open with pings and no other traffic; returns how it ended early, if it did."""
    options = [
        ("grpc.keepalive_time_ms", round(keepalive_s * 1000)),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    async with grpc.aio.insecure_channel(target, options) as channel:
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
        await watch.read()
        try:
            await asyncio.wait_for(watch.read(), seconds)
        except TimeoutError:
            return []
        except grpc.aio.AioRpcError as error:
            return [error.details()]
    return ["ended"]


@pytest.mark.long
async def test_pings_at_the_agreed_interval_are_taken_and_quicker_ones_not(
    config: ServerConfig,
) -> None:
    agreeing = dataclasses.replace(config, connections=ConnectionsConfig(min_ping_interval_s=0.3))
    async with running_server(agreeing) as server:
        assert await watched_for(2.0, server.address, keepalive_s=0.4) == []
        [refused] = await watched_for(20.0, server.address, keepalive_s=0.05)

    assert "too_many_pings" in refused or "Too many pings" in refused


async def test_an_idle_client_stays_connected(config: ServerConfig) -> None:
    agreeing = dataclasses.replace(config, connections=ConnectionsConfig(min_ping_interval_s=0.1))
    pinging = ChannelConfig(keepalive_s=0.2, max_attempts=1)
    async with (
        running_server(agreeing) as server,
        AsyncRecommenderClient(server.address, config=pinging, timeout_s=10.0) as client,
    ):
        await client.recommend("0")
        await asyncio.sleep(1.5)
        assert (await client.recommend("0")).items


def test_the_defaults_agree() -> None:
    assert (
        ChannelConfig().keepalive_s
        > ConnectionsConfig.__dataclass_fields__["min_ping_interval_s"].default
    )


@pytest.mark.parametrize("seconds", [0, -1, 3601])
def test_an_interval_out_of_range_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="min_ping_interval"):
        ConnectionsConfig(min_ping_interval_s=seconds)
