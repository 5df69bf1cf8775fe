"""Clients that behave badly: slow ones, and too many."""

import asyncio
import json
import socket
import ssl
import struct
import sys
import tempfile
from pathlib import Path
from random import Random

import psutil

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_chaos.fleet import HOST, Replica
from recserve_chaos.ledger import Allowed
from recserve_chaos.world import World
from recserve_client.loadtest.wire.frames import (
    DATA,
    END_HEADERS,
    HEADERS,
    INITIAL_WINDOW,
    SETTINGS,
    frame,
)

from .fault import Fault, promise

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_STREAMS = 100
_CONNECTIONS = 12
_TIMES = 10
_OVERLOAD_S = 6.0
_TESTER_S = 30.0
"""What the load tester takes besides: to start, and for the last answers."""
_SHED = frozenset({"RESOURCE_EXHAUSTED", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"})


async def _dawdle(world: World, random: Random) -> str:
    replica = world.pick(random)
    kinds = (_silent, _headers_only, _never_reading)
    open_sockets: list[socket.socket] = []
    try:
        for place in range(_CONNECTIONS):
            made = await asyncio.to_thread(kinds[place % len(kinds)], replica, world.roots)
            open_sockets.append(made)
        await asyncio.sleep(random.uniform(3.0, 8.0))
        problem = await world.wrong_with(replica)
        promise(not problem, f"with slow clients: {problem}")
    finally:
        for each in open_sockets:
            each.close()
    return f"{_CONNECTIONS} connections, {_STREAMS} calls on each that has any"


def _silent(replica: Replica, roots: bytes | None) -> socket.socket:
    """Connects and says nothing, not even hello."""
    del roots
    return socket.create_connection((HOST, replica.port), timeout=5.0)


def _headers_only(replica: Replica, roots: bytes | None) -> socket.socket:
    """Begins calls and never sends what they ask."""
    connection = _connected(replica, roots)
    connection.sendall(b"".join(_headers(1 + 2 * place) for place in range(_STREAMS)))
    return connection


def _never_reading(replica: Replica, roots: bytes | None) -> socket.socket:
    """Asks for long answers and grants no window for them."""
    connection = _connected(replica, roots)
    request = pb.RecommendRequest(user_id="1", k=200).SerializeToString()
    framed = struct.pack(">BI", 0, len(request)) + request
    for place in range(_STREAMS):
        stream = 1 + 2 * place
        connection.sendall(_headers(stream) + frame(DATA, 1, stream, framed))
    return connection


def _connected(replica: Replica, roots: bytes | None) -> socket.socket:
    connection = socket.create_connection((HOST, replica.port), timeout=5.0)
    if roots is not None:
        context = ssl.create_default_context(cadata=roots.decode())
        context.set_alpn_protocols(["h2"])
        connection = context.wrap_socket(connection, server_hostname="localhost")
    connection.sendall(_PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW, 0)))
    return connection


def _headers(stream: int) -> bytes:
    fields = (
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/recserve.v1.RecommendationService/Recommend"),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    )
    # Literal fields without indexing and without Huffman codes, RFC 7541 section 6.2.2.
    coded = b"".join(
        b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields
    )
    return frame(HEADERS, END_HEADERS, stream, coded)


async def _overload(world: World, random: Random) -> str:
    del random
    each_per_s = max(1.0, _TIMES * world.capacity_per_s / len(world.replicas))
    rate = f"{each_per_s:.0f}"
    found = await asyncio.gather(
        *(load(world, each, "--rate", rate, seconds=_OVERLOAD_S) for each in world.replicas),
        return_exceptions=True,
    )
    results = [each for each in found if isinstance(each, dict)]
    promise(bool(results), f"no load tester told anything: {found[0]!r}")
    ok = sum(each["ok_per_s"] for each in results)
    statuses = {status for each in results for status in each["errors"]}
    # Streams beyond a connection's limit are reset, which gRPC's clients call UNAVAILABLE.
    promise(statuses <= _SHED | {"STREAM_RESET"}, f"overload answered by {sorted(statuses)}")
    offered = sum(each["started"] for each in results) / _OVERLOAD_S
    silent = len(found) - len(results)
    return (
        f"{offered:.0f} calls/s offered, {ok:.0f} answered in time of "
        f"{world.capacity_per_s:.0f} without overload"
        + f"; {silent} load testers did not end"
        * bool(silent)
    )


async def load(world: World, replica: Replica, *pressure: str, seconds: float) -> dict:
    """Runs the load tester against one replica; returns started, ok_per_s and errors.

    Raises:
        TimeoutError: it did not end.
        BrokenPromise: it ended without a result.
    """
    with tempfile.TemporaryDirectory(dir=world.folder) as folder:
        path = Path(folder) / "result.json"
        flags = ["--target", replica.address, *pressure, "--duration", f"{seconds}s"]
        flags += ["--warmup", "0s", "--processes", "1", "--quiet", "--json", str(path)]
        if world.roots is not None:
            roots = Path(folder) / "roots.pem"
            roots.write_bytes(world.roots)
            flags += ["--ca", str(roots)]
        process = await asyncio.create_subprocess_exec(
            # Callers have machines of their own: theirs must not take the servers' time here.
            *("nice", "-n", "10", sys.executable, "-m", "recserve_client", "loadtest", *flags),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(seconds + _TESTER_S):
                _, told = await process.communicate()
        finally:
            await _end(process)
        promise(path.exists(), f"the load tester: {told.decode()[-300:]}")
        [stage] = json.loads(path.read_text())["stages"]
        return {name: stage[name] for name in ("started", "ok_per_s", "errors")}


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends the load tester and its processes, if it still runs."""
    if process.returncode is None:
        for each in psutil.Process(process.pid).children(recursive=True):
            each.kill()
        process.kill()
        await process.wait()


FAULTS = (
    Fault(
        name="slow-clients",
        what="connections that say nothing, begin calls without a request, or read no answer",
        expected="nothing: they take no one's turn",
        inject=_dawdle,
    ),
    Fault(
        name="overload",
        what="ten times the calls that the replicas answer, by the load tester",
        expected="refused at once or dropped late; all is well when it ends",
        inject=_overload,
        allowed=Allowed(_SHED, _SHED),
        why="the queue is full, or the answer would be late; there is no other replica to ask",
    ),
)
