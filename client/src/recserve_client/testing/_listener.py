"""The gRPC side of a fake server: a port, threads, health, and statuses on the wire."""

import functools
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final, NoReturn, TypeAlias

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from ._answers import METHODS
from ._port import HOST, ReservedPort
from ._refusals import RefusedError

# Each connection of the SDK's pool watches health and holds a thread; idle ones are never made.
_THREADS: Final = 256
_REQUEST_ID_KEY: Final = "x-request-id"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_SERVICES: Final = ("", *sorted({method.service for method in METHODS.values()}))

# As the real server has them: requests of up to 1 MiB, pings each 10 seconds.
_OPTIONS: Final[Mapping[str, str | int]] = {
    "grpc.max_receive_message_length": 1 << 20,
    "grpc.http2.min_recv_ping_interval_without_data_ms": 10_000,
    "grpc.keepalive_permit_without_calls": 1,
}

Answer: TypeAlias = Callable[[str, bytes, grpc.ServicerContext], Message | None]
"""From a method's name and an encoded request to the response; raises RefusedError."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerTls:
    """What a fake server proves its identity with; all of it PEM."""

    certificate_chain: bytes
    """The server's certificate, then those that vouch for it."""
    private_key: bytes = field(repr=False)
    """Key of the certificate."""
    client_roots: bytes | None = None
    """Certificates that vouch for clients, which then must show their own; None for any client."""


class _Health(health.HealthServicer):
    """Health whose watchers wait in threads of their own.

    Without threads, as grpcio's does by default, it sends while it holds the lock that the thread
    of the server's events waits for when a watcher goes: a server that stops then never does.
    """

    def __init__(self) -> None:
        super().__init__(experimental_non_blocking=False)

    # The mode is an attribute of the function, and grpcio's is shared by the whole process.
    def Watch(  # type: ignore[override]  # noqa: N802  # gRPC's name
        self, request: health_pb2.HealthCheckRequest, context: grpc.ServicerContext
    ) -> Iterator[health_pb2.HealthCheckResponse]:
        return super().Watch(request, context)


@dataclass(frozen=True, slots=True)
class _Running:
    server: grpc.Server
    threads: ThreadPoolExecutor
    health: _Health


class Listener:
    """Listens on one port, now and again."""

    def __init__(
        self, answer: Answer, tls: ServerTls | None, options: Mapping[str, str | int]
    ) -> None:
        """Takes what answers, what secures connections, and further gRPC server arguments."""
        self._answer, self._tls = answer, tls
        self._reserved = ReservedPort()
        # The last one is not to be overruled: it fits the port.
        self._options = {
            **_OPTIONS,
            **options,
            "grpc.so_reuseport": int(self._reserved.is_kept),
        }
        self._running: _Running | None = None

    @property
    def port(self) -> int:
        """The port."""
        return self._reserved.number

    @property
    def target(self) -> str:
        """Address and port."""
        return f"{HOST}:{self.port}"

    @property
    def is_running(self) -> bool:
        """Whether it listens."""
        return self._running is not None

    def start(self, *, is_healthy: bool) -> None:
        """Listens; raises RuntimeError if it does already, or cannot."""
        if self._running is not None:
            raise RuntimeError(f"the fake server on {self.target} is running already")
        threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="fake-recserve")
        server = grpc.server(threads, self._handlers(), options=list(self._options.items()))
        servicer = _Health()
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        try:
            if self._tls is None:
                server.add_insecure_port(self.target)
            else:
                server.add_secure_port(self.target, _credentials(self._tls))
        except RuntimeError as error:
            threads.shutdown()
            raise RuntimeError(f"cannot listen on {self.target}: is the port in use?") from error
        self._running = _Running(server, threads, servicer)
        self.set_health(is_healthy)
        server.start()

    def stop(self) -> None:
        """Breaks all calls and connections; does nothing if it does not listen."""
        running, self._running = self._running, None
        if running is not None:
            # None would end idle connections with an error, which clients' gRPC writes to stderr.
            running.server.stop(0).wait()
            running.threads.shutdown()

    def set_health(self, is_healthy: bool) -> None:
        """Tells whether the server, and each service of it, serves."""
        status = health_pb2.HealthCheckResponse
        if self._running is not None:
            for service in _SERVICES:
                self._running.health.set(
                    service, status.SERVING if is_healthy else status.NOT_SERVING
                )

    def _handlers(self) -> list[grpc.GenericRpcHandler]:
        # Without a deserializer: gRPC itself answers bytes that do not parse otherwise than the
        # real server does.
        return [
            grpc.method_handlers_generic_handler(
                service,
                {
                    name: grpc.unary_unary_rpc_method_handler(functools.partial(self._call, name))
                    for name, method in METHODS.items()
                    if method.service == service
                },
            )
            for service in _SERVICES[1:]
        ]

    def _call(self, method: str, encoded: bytes, context: grpc.ServicerContext) -> bytes:
        request_id = _request_id(context)
        context.set_trailing_metadata(((_REQUEST_ID_KEY, request_id),))
        try:
            response = self._answer(method, encoded, context)
        except RefusedError as refusal:
            _refuse(refusal, METHODS[method].service, request_id, context)
        return b"" if response is None else response.SerializeToString()


def _refuse(
    refusal: RefusedError, service: str, request_id: str, context: grpc.ServicerContext
) -> NoReturn:
    text, trailers = refusal.told(service, request_id)
    context.set_trailing_metadata((*trailers, (_REQUEST_ID_KEY, request_id)))
    context.abort(refusal.code, text)


def _credentials(tls: ServerTls) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials(
        [(tls.private_key, tls.certificate_chain)],
        root_certificates=tls.client_roots,
        require_client_auth=tls.client_roots is not None,
    )


def _request_id(context: grpc.ServicerContext) -> str:
    for key, value in context.invocation_metadata():
        if key == _REQUEST_ID_KEY and isinstance(value, str) and _REQUEST_ID.fullmatch(value):
            return value
    return uuid.uuid4().hex
