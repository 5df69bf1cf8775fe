"""Registers servicers with a server, each of their calls wrapped."""

import asyncio
import inspect
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias, cast

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2
from grpc_status import rpc_status

from recserve_server.batching.terms import Timing
from recserve_server.calls.arrival import REQUEST_ID_KEY, Reception
from recserve_server.calls.call import (
    Call,
    CallObserver,
    Context,
    Ended,
    Metadata,
    current_call,
)
from recserve_server.errors import (
    MalformedMessage,
    Overloaded,
    PermissionDenied,
    ServingError,
    Unexpected,
    to_status,
)
from recserve_server.stats import CallStats

_log = logging.getLogger(__name__)
# gRPC's own clients wait so long before they try again, if they do (gRFC A6).
_PUSHBACK_KEY: Final = "grpc-retry-pushback-ms"

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behavior: TypeAlias = Callable[[Any, Context], Awaitable[Any]]
Stream: TypeAlias = Callable[[Any, Context], AsyncIterator[Any]]
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
    * Who calls, and with what priority, is in `current_call`.

    It is no `grpc.aio.ServerInterceptor`: even an empty one takes 5 us of every call
    (docs/performance.md).
    """

    def __init__(
        self,
        server: grpc.aio.Server,
        stats: CallStats,
        reception: Reception | None = None,
        observers: Sequence[CallObserver] = (),
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Takes the server, what counts calls, who receives them, and who is told of them."""
        self._server, self._stats, self._clock = server, stats, clock
        self._reception, self._observers = reception or Reception(), tuple(observers)

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
        if handler.stream_stream is not None and not self._reception.lets_anybody_in:
            return grpc.stream_stream_rpc_method_handler(
                self._guarded(method, cast(Stream, handler.stream_stream)),
                request_deserializer=handler.request_deserializer,
                response_serializer=handler.response_serializer,
            )
        return handler

    def _guarded(self, method: str, behavior: Stream) -> Any:  # noqa: ANN401  # grpcio's own
        """Wraps a handler of streams, as server reflection has, with admission alone."""

        async def call(requests: object, context: Context) -> AsyncIterator[object]:
            call, metadata = self._reception.receive(method, context)
            try:
                self._reception.admit(call, metadata, context)
            except ServingError as error:
                await _refuse(error, call, context)
            async for response in behavior(requests, context):
                yield response

        return call

    def _wrap(self, method: str, behavior: Behavior, decode: Decode | None) -> Behavior:
        async def answer(encoded: bytes, context: Context) -> object:
            start_s = self._clock()
            self._stats.started[method] += 1
            call, metadata = self._reception.receive(method, context)
            ended = Ended()
            try:
                context.set_trailing_metadata(((REQUEST_ID_KEY, call.request_id),))
                self._let_in(call, metadata, context)
                ended.request = _decode(decode, encoded, method)
                ended.response = await behavior(ended.request, context)
                return ended.response
            except (grpc.aio.AbortError, asyncio.CancelledError) as error:
                ended.code = _code_of_end(error, context, self._clock() - start_s)
                ended.outcome = ended.code
                raise
            except Exception as error:
                refused = _refusal(error, call)
                if isinstance(refused, PermissionDenied):
                    call.caller = refused.metadata["caller"]  # for the log
                ended.code, ended.outcome = code_pb2.Code.Name(refused.code), refused.reason
                if not self._observers:
                    ended.request = None
                # A refused request may take 70 times its encoding: nothing holds it while its
                # refusal waits to be sent, the frames of the traceback neither.
                error.__traceback__ = None
                await _refuse(refused, call, context)
            finally:
                ended.duration_s = self._clock() - start_s
                self._note_end(call, ended)
            raise AssertionError("a refusal raises")

        return answer

    def _let_in(self, call: Call, metadata: Metadata, context: Context) -> None:
        self._reception.admit(call, metadata, context)
        current_call.set(call)
        if self._observers:
            call.timing = Timing()
            for each in self._observers:
                each.started(call, metadata)

    def _note_end(self, call: Call, ended: Ended) -> None:
        self._stats.handled_s[call.method, ended.code].add(ended.duration_s)
        if call.timing is not None:  # else it was not let in
            for each in self._observers:
                each.ended(call, ended)
        _log_call(call, ended)


def _refusal(error: Exception, call: Call) -> ServingError:
    if isinstance(error, ServingError):
        return error
    extra = {"method": call.method, "request_id": call.request_id}
    _log.error("a call failed", exc_info=error, extra=extra)
    return Unexpected()


def _code_of_end(error: BaseException, context: Context, duration_s: float) -> str:
    """Returns the code of a call that its handler aborted or its caller no longer waits for."""
    if isinstance(error, grpc.aio.AbortError):  # by grpc.health.v1's handlers, never by ours
        return str(getattr(context.code(), "name", "ABORTED"))
    remaining_s = cast("float | None", context.time_remaining())
    # gRPC sends a timeout rounded up, by 1% at the most: callers give up a little before it.
    if remaining_s is not None and remaining_s <= 0.01 * (duration_s + remaining_s):
        return "DEADLINE_EXCEEDED"
    return "CANCELLED"


def _log_call(call: Call, ended: Ended) -> None:
    level = logging.DEBUG if ended.outcome == "OK" else logging.INFO
    if _log.isEnabledFor(level):
        fields = {
            "method": call.method,
            "request_id": call.request_id,
            "outcome": ended.outcome,
            "duration_ms": round(ended.duration_s * 1000, 3),
        }
        if call.caller:
            fields["caller"] = call.caller
        _log.log(level, "call", extra=fields)


async def _refuse(error: ServingError, call: Call, context: Context) -> None:
    domain = call.method.strip("/").partition("/")[0]
    status = rpc_status.to_status(to_status(error, domain=domain, request_id=call.request_id))
    # Aborting replaces the trailers set before.
    trailers = [*status.trailing_metadata, (REQUEST_ID_KEY, call.request_id)]
    if isinstance(error, Overloaded):
        # Of no other: a client of several replicas is to try the next one at once.
        trailers.append((_PUSHBACK_KEY, str(round(error.retry_after_s * 1000))))
    await context.abort(status.code, status.details, tuple(trailers))


def _encode(response: Message | bytes) -> bytes:
    return response if isinstance(response, bytes) else response.SerializeToString()


def _decode(decode: Decode | None, encoded: bytes, method: str) -> object:
    if decode is None:
        return encoded
    try:
        return decode(encoded)
    except DecodeError as error:
        raise MalformedMessage(method) from error
