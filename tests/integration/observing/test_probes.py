"""The HTTP listener, over plain sockets."""

import asyncio
import gzip
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.client import HTTPConnection

import pytest
from prometheus_client import CollectorRegistry, Gauge

from recserve_server.admin import AdminListener, Probes
from recserve_server.config import ServerConfig
from recserve_server.lifecycle import Server
from recserve_server.matrix_model import open_matrix
from recserve_server.testing import open_with


@dataclass
class State:
    is_live: bool = True
    is_ready: bool = True


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture
def state() -> State:
    return State()


@pytest.fixture
def listener(state: State) -> Iterator[AdminListener]:
    registry = CollectorRegistry()
    Gauge("films", "Films. " * 200, registry=registry).set(3)
    Gauge("songs", "Songs.", registry=registry).set(4)
    probes = Probes(is_live=lambda: state.is_live, is_ready=lambda: state.is_ready)
    listener = AdminListener("127.0.0.1:0", registry, probes)
    yield listener
    listener.close()


def ask(
    address: str, path: str, method: str = "GET", headers: dict[str, str] | None = None
) -> Answer:
    connection = HTTPConnection(address, timeout=10)
    connection.request(method, path, headers=headers or {})
    response = connection.getresponse()
    answer = Answer(response.status, dict(response.getheaders()), response.read())
    connection.close()
    return answer


def raw(address: str, sent: bytes) -> bytes:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(sent)
        received = b""
        while part := connection.recv(65_536):
            received += part
    return received


def test_probes_follow_the_state(listener: AdminListener, state: State) -> None:
    assert ask(listener.address, "/livez").body == b"live\n"
    assert ask(listener.address, "/readyz").body == b"ready\n"

    state.is_live = state.is_ready = False
    live, ready = ask(listener.address, "/livez"), ask(listener.address, "/readyz")

    assert (live.status, ready.status) == (503, 503)
    assert live.body == b"not live: the event loop is stuck\n"
    assert ready.body == b"not ready: health does not say SERVING\n"


def test_there_are_no_probes_if_nobody_can_tell() -> None:
    listener = AdminListener("127.0.0.1:0", CollectorRegistry())
    try:
        assert ask(listener.address, "/livez").status == 404
    finally:
        listener.close()


def test_the_index_names_every_page(listener: AdminListener) -> None:
    index = ask(listener.address, "/")

    assert index.status == 200
    for line in index.body.decode().splitlines()[2:]:
        assert ask(listener.address, line.split()[0]).status == 200


@pytest.mark.parametrize("path", ["/favicon.ico", "/metrics/", "/metricsx", "/livez/x", "/.."])
def test_nothing_else_is_found(listener: AdminListener, path: str) -> None:
    assert ask(listener.address, path).status == 404


@pytest.mark.parametrize("path", ["/", "/metrics", "/livez", "/readyz", "/missing"])
def test_head_tells_what_get_would_without_its_body(listener: AdminListener, path: str) -> None:
    head, get = ask(listener.address, path, "HEAD"), ask(listener.address, path)

    assert (head.status, head.body) == (get.status, b"")
    assert head.headers["Content-Length"] == str(len(get.body))
    assert head.headers["Content-Type"] == get.headers["Content-Type"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "INVENTED"])
def test_other_methods_are_refused(listener: AdminListener, method: str) -> None:
    answer = ask(listener.address, "/metrics", method)

    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"


def test_nobody_learns_what_it_is_made_of(listener: AdminListener) -> None:
    for path in ("/", "/missing"):
        answer = ask(listener.address, path)
        assert answer.headers["Server"] == "recserve"
        assert b"ython" not in answer.body


def test_metrics_can_be_asked_for_by_name(listener: AdminListener) -> None:
    assert b"songs 4.0" in ask(listener.address, "/metrics").body
    assert b"songs" not in ask(listener.address, "/metrics?name[]=films").body
    assert b"songs 4.0" in ask(listener.address, "/metrics?by=hand").body


def test_metrics_are_packed_and_in_the_format_that_a_prometheus_asks_for(
    listener: AdminListener,
) -> None:
    accepted = {
        "Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
        "Accept-Encoding": "gzip",
    }

    answer = ask(listener.address, "/metrics", headers=accepted)

    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert gzip.decompress(answer.body).endswith(b"# EOF\n")


@pytest.mark.parametrize(
    "sent",
    [
        b"GET //[ HTTP/1.0\r\n\r\n",
        b"GET /metrics HTTP/1.0\r\nAccept: text/plain;version=x.y\r\n\r\n",
        b"GET /metrics HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
)
def test_what_cannot_be_read_is_refused_and_the_next_is_answered(
    listener: AdminListener, sent: bytes
) -> None:
    answered = raw(listener.address, sent)

    assert b" 200 " not in answered
    assert b"Traceback" not in answered
    assert ask(listener.address, "/livez").status == 200


async def test_a_server_is_live_before_it_is_ready_and_until_it_is_gone(
    config: ServerConfig,
) -> None:
    server = Server(config, open_with(open_matrix))
    await server.start()
    loading = await statuses(server)
    await server.load()
    loaded = await statuses(server)
    server_drains = asyncio.create_task(server.drain())
    await server_drains

    assert loading == (200, 503)
    assert loaded == (200, 200)


async def test_a_draining_server_is_live_but_not_ready(config: ServerConfig) -> None:
    server = Server(replace(config, drain_delay_s=1.0), open_with(open_matrix))
    await server.start()
    await server.load()
    drain = asyncio.create_task(server.drain())
    while (draining := await statuses(server))[1] == 200:
        await asyncio.sleep(0.01)

    assert draining == (200, 503)
    await drain


async def test_a_stuck_event_loop_is_not_live_though_nothing_in_it_can_say_so(
    config: ServerConfig,
) -> None:
    batching = replace(config.batching, watchdog_s=1.0)
    server = Server(replace(config, batching=batching), open_with(open_matrix))
    await server.start()
    await server.load()
    told: list[int] = []

    def look() -> None:
        deadline_s = time.monotonic() + 20
        while time.monotonic() < deadline_s:
            told.append(ask(server.admin_address, "/livez").status)
            if told[-1] == 503:
                return
            time.sleep(0.02)

    looking = threading.Thread(target=look)
    looking.start()
    looking.join()  # blocks the event loop, which is what is looked for

    assert told[-1] == 503
    while (await statuses(server))[0] != 200:
        await asyncio.sleep(0.01)
    await server.drain()


async def statuses(server: Server) -> tuple[int, int]:
    live = await asyncio.to_thread(ask, server.admin_address, "/livez")
    ready = await asyncio.to_thread(ask, server.admin_address, "/readyz")
    return live.status, ready.status
