"""What happens around every call: request id, decoding, errors, the log."""

import inspect
import itertools
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias, cast

import grpc
from google.protobuf.message import DecodeError
from grpc_status import rpc_status

from recserve_server.errors import MalformedMessage, ServingError, Unexpected, to_status

_log = logging.getLogger(__name__)
_REQUEST_ID_KEY: Final = "x-request-id"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
# A random half for the process and a counted one: no call has to ask the kernel for randomness.
_PROCESS_ID: Final = uuid.uuid4().hex[:16]
_CALLS: Final = itertools.count()

# grpcio's classes are generic in their stubs only, hence the quotes.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"
Behavior: TypeAlias = Callable[[Any, Context], Awaitable[Any]]
Decode: TypeAlias = Callable[[bytes], Any]


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps calls of one request, so that servicers only return or raise.

    * A `ServingError` becomes its google.rpc.Status; any other exception INTERNAL with the request
      id and nothing else: grpcio would send the exception's text.
    * Messages are decoded here: grpcio answers bytes that do not parse with UNKNOWN.
    * The request id is the caller's `x-request-id`, or a new one, and returns in the trailers.
    """

    def __init__(self, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._wrapped: dict[str, Handler] = {}

    async def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "Handler | None":
        """Returns the wrapped handler, or that of a stream as it is."""
        method = handler_call_details.method
        if method in self._wrapped:
            return self._wrapped[method]
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        if handler.unary_unary is not None:
            rebuild, behavior = grpc.unary_unary_rpc_method_handler, handler.unary_unary
        elif inspect.iscoroutinefunction(handler.unary_stream):  # as grpc.health.v1's Watch is
            rebuild, behavior = grpc.unary_stream_rpc_method_handler, handler.unary_stream
        else:
            return handler
        wrapped = self._wrap(method, cast(Behavior, behavior), handler.request_deserializer)
        self._wrapped[method] = rebuild(
            wrapped, request_deserializer=None, response_serializer=handler.response_serializer
        )
        return self._wrapped[method]

    def _wrap(self, method: str, behavior: Behavior, decode: Decode | None) -> Behavior:
        domain = method.strip("/").partition("/")[0]

        async def call(encoded: bytes, context: Context) -> object:
            start_s = self._clock()
            request_id = _request_id(context)
            context.set_trailing_metadata(((_REQUEST_ID_KEY, request_id),))
            try:
                response = await behavior(_decode(decode, encoded, method), context)
            except ServingError as error:
                refused = error
            except grpc.aio.AbortError:
                raise
            except Exception:
                _log.exception("a call failed", extra={"method": method, "request_id": request_id})
                refused = Unexpected()
            else:
                self._log_call(method, request_id, "OK", start_s)
                return response
            self._log_call(method, request_id, refused.reason, start_s)
            status = rpc_status.to_status(to_status(refused, domain=domain, request_id=request_id))
            # Aborting replaces the trailers set above.
            trailers = (*status.trailing_metadata, (_REQUEST_ID_KEY, request_id))
            await context.abort(status.code, status.details, trailers)
            raise AssertionError("abort returns by raising")

        return call

    def _log_call(self, method: str, request_id: str, outcome: str, start_s: float) -> None:
        level = logging.DEBUG if outcome == "OK" else logging.INFO
        if _log.isEnabledFor(level):
            fields = {
                "method": method,
                "request_id": request_id,
                "outcome": outcome,
                "duration_ms": round((self._clock() - start_s) * 1000, 3),
            }
            _log.log(level, "call", extra=fields)


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
