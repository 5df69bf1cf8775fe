"""What happens around every call: request id, decoding, errors, the log."""

import asyncio
import inspect
import itertools
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias, cast

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2
from grpc_status import rpc_status

from recserve_server.errors import MalformedMessage, ServingError, Unexpected, to_status
from recserve_server.stats import CallStats

_log = logging.getLogger(__name__)
_REQUEST_ID_KEY: Final = "x-request-id"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
# A random half for the process and a counted one: no call has to ask the kernel for randomness.
_PROCESS_ID: Final = uuid.uuid4().hex[:16]
_CALLS: Final = itertools.count()

# grpcio's classes are generic in their stubs only, hence the quotes.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behavior: TypeAlias = Callable[[Any, Context], Awaitable[Any]]
Decode: TypeAlias = Callable[[bytes], Any]


class CallRegistry:
    """Registers servicers with a server, each call of one request wrapped.

    Stands where the generated `add_XServicer_to_server` expect a server. Servicers then only return
    or raise:

    * A `ServingError` becomes its google.rpc.Status; any other exception INTERNAL with the request
      id and nothing else: grpcio would send the exception's text.
    * Messages are decoded here: grpcio answers bytes that do not parse with UNKNOWN.
    * The request id is the caller's `x-request-id`, or a new one, and returns in the trailers.
    * A response may be bytes, encoded before.

    It is no `grpc.aio.ServerInterceptor`: even an empty one takes 5 us of every call
    (docs/performance.md).
    """

    def __init__(
        self,
        server: grpc.aio.Server,
        stats: CallStats,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._server, self._stats, self._clock = server, stats, clock

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Does nothing: the generated code registers each handler in both ways."""

    def add_registered_method_handlers(self, service: str, handlers: "dict[str, Handler]") -> None:
        """Registers the handlers of one service by method name."""
        wrapped = {
            name: self._wrapped(f"/{service}/{name}", handler) for name, handler in handlers.items()
        }
        generic = grpc.method_handlers_generic_handler(service, wrapped)
        self._server.add_generic_rpc_handlers((generic,))
        self._server.add_registered_method_handlers(service, wrapped)

    def _wrapped(self, method: str, handler: "Handler") -> "Handler":
        if handler.unary_unary is not None:
            self._stats.methods[method] = "unary"
            behavior = cast(Behavior, handler.unary_unary)
            return grpc.unary_unary_rpc_method_handler(
                self._wrap(method, behavior, handler.request_deserializer),
                response_serializer=_encode,
            )
        if inspect.iscoroutinefunction(handler.unary_stream):  # as grpc.health.v1's Watch is
            self._stats.methods[method] = "server_stream"
            behavior = cast(Behavior, handler.unary_stream)
            return grpc.unary_stream_rpc_method_handler(
                self._wrap(method, behavior, handler.request_deserializer),
                response_serializer=handler.response_serializer,
            )
        return handler

    def _wrap(self, method: str, behavior: Behavior, decode: Decode | None) -> Behavior:
        async def call(encoded: bytes, context: Context) -> object:
            start_s = self._clock()
            self._stats.started[method] += 1
            request_id = _request_id(context)
            code = outcome = "OK"
            try:
                context.set_trailing_metadata(((_REQUEST_ID_KEY, request_id),))
                return await behavior(_decode(decode, encoded, method), context)
            except (grpc.aio.AbortError, asyncio.CancelledError) as error:
                code = outcome = _code_of_end(error, context, self._clock() - start_s)
                raise
            except Exception as error:
                refused = error if isinstance(error, ServingError) else Unexpected()
                code, outcome = code_pb2.Code.Name(refused.code), refused.reason
                if refused is not error:
                    extra = {"method": method, "request_id": request_id}
                    _log.exception("a call failed", extra=extra)
                await _refuse(refused, method, request_id, context)
            finally:
                duration_s = self._clock() - start_s
                self._stats.handled_s[method, code].add(duration_s)
                _log_call(method, request_id, outcome, duration_s)
            raise AssertionError("a refusal raises")

        return call


def _code_of_end(error: BaseException, context: Context, duration_s: float) -> str:
    """Returns the code of a call that its handler aborted or its caller no longer waits for."""
    if isinstance(error, grpc.aio.AbortError):  # by grpc.health.v1's handlers, never by ours
        return str(getattr(context.code(), "name", "ABORTED"))
    remaining_s = cast("float | None", context.time_remaining())
    # gRPC sends a timeout rounded up, by 1% at the most: callers give up a little before it.
    if remaining_s is not None and remaining_s <= 0.01 * (duration_s + remaining_s):
        return "DEADLINE_EXCEEDED"
    return "CANCELLED"


def _log_call(method: str, request_id: str, outcome: str, duration_s: float) -> None:
    level = logging.DEBUG if outcome == "OK" else logging.INFO
    if _log.isEnabledFor(level):
        fields = {
            "method": method,
            "request_id": request_id,
            "outcome": outcome,
            "duration_ms": round(duration_s * 1000, 3),
        }
        _log.log(level, "call", extra=fields)


async def _refuse(error: ServingError, method: str, request_id: str, context: Context) -> None:
    domain = method.strip("/").partition("/")[0]
    status = rpc_status.to_status(to_status(error, domain=domain, request_id=request_id))
    # Aborting replaces the trailers set before.
    trailers = (*status.trailing_metadata, (_REQUEST_ID_KEY, request_id))
    await context.abort(status.code, status.details, trailers)


def _encode(response: Message | bytes) -> bytes:
    return response if isinstance(response, bytes) else response.SerializeToString()


def _decode(decode: Decode | None, encoded: bytes, method: str) -> object:
    if decode is None:
        return encoded
    try:
        return decode(encoded)
    except DecodeError as error:
        raise MalformedMessage(method) from error


def _request_id(context: Context) -> str:
    for key, value in context.invocation_metadata() or ():
        # Only a harmless one is echoed and logged: the caller chooses it.
        if key == _REQUEST_ID_KEY and isinstance(value, str) and _REQUEST_ID.fullmatch(value):
            return value
    return f"{_PROCESS_ID}{next(_CALLS):016x}"
