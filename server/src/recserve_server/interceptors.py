"""What happens around every call: request id, decoding, errors, the log."""

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

# grpcio's classes are generic in their stubs only, hence the quotes.
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Continuation: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]]"
Behavior: TypeAlias = Callable[[Any, Context], Awaitable[Any]]


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps unary calls, so that servicers only return or raise.

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
        """Returns the wrapped handler of a unary method, any other as it is."""
        method = handler_call_details.method
        wrapped = self._wrapped.get(method)
        if wrapped is None:
            handler = await continuation(handler_call_details)
            if handler is None or handler.unary_unary is None:
                return handler
            wrapped = self._wrapped[method] = grpc.unary_unary_rpc_method_handler(
                self._wrap(method, handler),
                request_deserializer=None,
                response_serializer=handler.response_serializer,
            )
        return wrapped

    def _wrap(self, method: str, handler: Handler) -> Behavior:
        domain = method.strip("/").partition("/")[0]
        behavior, decode = cast(Behavior, handler.unary_unary), handler.request_deserializer

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


def _decode(decode: Callable[[bytes], Any] | None, encoded: bytes, method: str) -> object:
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
    return uuid.uuid4().hex
