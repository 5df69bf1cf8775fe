"""The HTTP listener for operators: GET /metrics, on a thread of its own."""

import logging
import socket
import socketserver
import threading
from typing import Any

from prometheus_client import CollectorRegistry, MetricsHandler

_log = logging.getLogger(__name__)


class AdminListener:
    """Answers until it is closed; a scrape never waits for the event loop."""

    def __init__(self, address: str, registry: CollectorRegistry) -> None:
        """Listens on `address`, HOST:PORT; port 0 picks a free one.

        Raises:
            OSError: it cannot be listened on.
        """
        host, _, port = address.rpartition(":")
        handler = type("_RegistryHandler", (_Handler,), {"registry": registry})
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


class _Handler(MetricsHandler):
    timeout = 10.0
    """Seconds until a caller that sends nothing is let go."""

    def do_GET(self) -> None:  # noqa: N802  # the library's name
        if self.path.partition("?")[0] == "/metrics":
            super().do_GET()
        else:
            self.send_error(404)


class _Server(socketserver.ThreadingTCPServer):
    # Not http.server's: that one asks the name service for the host's full name, maybe for long.
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, host: str, port: int, handler: type[MetricsHandler]) -> None:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # "localhost" may be both; IPv4 is there even where IPv6 is switched off.
        self.address_family, _, _, _, address = min(
            found, key=lambda each: each[0] != socket.AF_INET
        )
        super().__init__(address[:2], handler)  # type: ignore[arg-type]

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        _log.warning("a scrape failed", exc_info=True)
