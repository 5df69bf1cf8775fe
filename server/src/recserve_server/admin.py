"""The HTTP listener for operators: metrics and probes, on threads of its own.

It answers while the event loop is busy, and tells when the loop is stuck.
"""

import gzip
import http
import logging
import socket
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder, gzip_accepted

_log = logging.getLogger(__name__)
_TEXT: Final = "text/plain; charset=utf-8"
_WORTH_PACKING_BYTES: Final = 1000
_INDEX: Final = """\
recserve-serve

/metrics  counts for Prometheus
/livez    200 while the server turns, else 503: restart it
/readyz   200 while it answers calls, else 503: send them elsewhere
"""


@dataclass(frozen=True, slots=True)
class Probes:
    """What the server knows of itself; asked from any thread."""

    is_live: Callable[[], bool]
    """Whether its event loop turns: if not, only a restart helps."""
    is_ready: Callable[[], bool]
    """Whether health says SERVING."""


class AdminListener:
    """Answers until it is closed; a scrape never waits for the event loop."""

    def __init__(
        self, address: str, registry: CollectorRegistry, probes: Probes | None = None
    ) -> None:
        """Listens on `address`, HOST:PORT; port 0 picks a free one. Without probes, none are found.

        Raises:
            OSError: it cannot be listened on.
        """
        host, _, port = address.rpartition(":")
        pages = _Pages(registry, probes)
        handler = type("_PagesHandler", (_Handler,), {"pages": pages})
        self._server = _Server(host.strip("[]"), int(port), handler)
        self.address = f"{host}:{self._server.server_address[1]}"
        """HOST:PORT, with the port that was picked."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="admin", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stops listening; may block for a tenth of a second."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass(frozen=True, slots=True)
class _Page:
    body: bytes
    status: http.HTTPStatus = http.HTTPStatus.OK
    content_type: str = _TEXT


class _Pages:
    """What there is to read."""

    def __init__(self, registry: CollectorRegistry, probes: Probes | None) -> None:
        self._registry, self._probes = registry, probes

    def page(self, target: str, accept: str) -> _Page:
        """Returns what a request's target stands for.

        Raises:
            ValueError: the target, or what its sender accepts, cannot be read.
        """
        url = urlsplit(target)
        if url.path == "/metrics":
            return self._metrics(accept, parse_qs(url.query).get("name[]", []))
        if url.path == "/":
            return _Page(_INDEX.encode())
        if self._probes is not None and url.path == "/livez":
            return _verdict(self._probes.is_live(), "live", "the event loop is stuck")
        if self._probes is not None and url.path == "/readyz":
            return _verdict(self._probes.is_ready(), "ready", "health does not say SERVING")
        return _Page(b"not found\n", http.HTTPStatus.NOT_FOUND)

    def _metrics(self, accept: str, names: list[str]) -> _Page:
        encode, content_type = choose_encoder(accept)
        registry = self._registry.restricted_registry(names) if names else self._registry
        return _Page(encode(registry), content_type=content_type)


def _verdict(is_good: bool, good: str, bad: str) -> _Page:
    if is_good:
        return _Page(f"{good}\n".encode())
    return _Page(f"not {good}: {bad}\n".encode(), http.HTTPStatus.SERVICE_UNAVAILABLE)


class _Handler(BaseHTTPRequestHandler):
    pages: _Pages
    timeout = 10.0
    """Seconds until a caller that sends nothing is let go."""

    def do_GET(self) -> None:
        try:
            page = self.pages.page(self.path, self.headers.get("Accept", ""))
        except ValueError:
            self.send_error(http.HTTPStatus.BAD_REQUEST)
            return
        self._send(page)

    def do_HEAD(self) -> None:
        self.do_GET()

    def version_string(self) -> str:
        # Else it tells everybody which Python this is.
        return "recserve"

    def log_message(self, format: str, *args: object) -> None:
        # Else there is a line on standard error for every scrape.
        _log.debug("answered a request", extra={"request": self.requestline[:200]})

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answers what cannot be read, and methods that there are none of."""
        status = http.HTTPStatus(code)
        if status is http.HTTPStatus.NOT_IMPLEMENTED:
            status = http.HTTPStatus.METHOD_NOT_ALLOWED
        self.close_connection = True  # a body may follow that nobody reads
        self._send(_Page(f"{status.phrase.lower()}\n".encode(), status))

    def _send(self, page: _Page) -> None:
        body = page.body
        self.send_response(page.status)
        if len(body) > _WORTH_PACKING_BYTES and gzip_accepted(
            self.headers.get("Accept-Encoding", "")
        ):
            body = gzip.compress(body, compresslevel=1)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if page.status is http.HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Server(socketserver.ThreadingTCPServer):
    # Not http.server's: that one asks the name service for the host's full name, maybe for long.
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, host: str, port: int, handler: type[_Handler]) -> None:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # "localhost" may be both; IPv4 is there even where IPv6 is switched off.
        self.address_family, _, _, _, address = min(
            found, key=lambda each: each[0] != socket.AF_INET
        )
        super().__init__(address[:2], handler)  # type: ignore[arg-type]

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        _log.warning("a scrape failed", exc_info=True)
