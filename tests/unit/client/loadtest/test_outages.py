import asyncio
import socket
import time

import grpc
import pytest
from engine import answer, at_rate, in_flight, send, serving

from recserve_client.loadtest.plan import Endpoint
from recserve_client.loadtest.wire.pool import Pool

CUT = {"CONNECTION_LOST", "UNAVAILABLE", "CANCELLED", "STREAM_RESET"}


async def test_calls_of_a_server_that_goes_away_end_as_failures() -> None:
    arrived = asyncio.Event()

    async def silent(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        arrived.set()
        await asyncio.Event().wait()
        return b""

    async with serving(silent) as (server, port):
        sending = asyncio.create_task(send(port, at_rate(200)))
        await arrived.wait()
        await server.stop(0)
        found = await sending

    assert found.ok == 0
    assert sum(found.errors.values()) == found.started == 50
    assert set(found.errors) <= CUT


@pytest.mark.long
@pytest.mark.parametrize("stage", [at_rate(200, 3.0), in_flight(4, 3.0)], ids=["open", "closed"])
async def test_a_server_that_comes_back_on_its_port_is_found_again(stage) -> None:
    arrived = asyncio.Event()

    async def note(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        arrived.set()
        return b"answer"

    async with serving(note) as (first, port):
        sending = asyncio.create_task(send(port, stage))
        await arrived.wait()
        await asyncio.sleep(0.3)
        await first.stop(0)
    await asyncio.sleep(0.3)
    async with serving(note, port):
        found = await sending

    assert set(found.errors) <= CUT
    assert found.errors["CONNECTION_LOST"] > 10
    assert found.windows[0].ok > 0
    assert found.windows[-1].errors == {}
    assert found.windows[-1].ok > 0


async def test_connections_that_a_server_ages_out_are_replaced_without_an_error() -> None:
    peers: set[str] = set()

    async def slow(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        peers.add(context.peer())
        await asyncio.sleep(0.02)
        return b"answer"

    ages = {"max_connection_age_ms": 300, "max_connection_age_grace_ms": 10_000}
    async with serving(slow, **ages) as (_, port):
        found = await send(port, at_rate(200, 1.5))

    assert len(peers) > 2
    assert (found.ok, found.errors) == (found.started, {})


async def test_a_connection_that_has_used_up_its_streams_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("recserve_client.loadtest.wire.connection._LAST_STREAM", 20)
    peers: set[str] = set()

    async def note(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
        peers.add(context.peer())
        return b"answer"

    async with serving(note) as (_, port):
        found = await send(port, at_rate(200), connections=1)

    assert len(peers) > 2
    assert (found.ok, found.errors) == (50, {})


def connect(**endpoint) -> None:
    with Pool(Endpoint(**endpoint), 1) as pool:
        pool.connect()


def test_no_server_is_told_at_once() -> None:
    began_s = time.monotonic()

    with pytest.raises(ConnectionError, match="Connection refused"):
        connect(host="127.0.0.1", port=1)
    with pytest.raises(OSError, match=r"(?i)name|resol"):
        connect(host="no.such.host.invalid", port=1)

    assert time.monotonic() - began_s < 30


async def test_another_address_of_the_same_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def with_a_dead_one(host: str, port: int, **options):
        return [*real("127.0.0.1", 1, **options), *real("127.0.0.1", port, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", with_a_dead_one)
    async with serving(answer) as (_, port):
        found = await send(port, at_rate(200))

    assert (found.ok, found.errors) == (50, {})
