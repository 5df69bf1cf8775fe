"""The exceptions that the client raises on purpose.

    RecommenderError               base; also what has no class of its own
      +- InvalidRequestError       the request can never succeed   (also a ValueError)
      +- NotFoundError             no such model, label or item
      |    +- NotPersonalError     a personal ranking was wanted, there is none
      |    +- ModelRetiredError    the version that must answer does not serve
      +- UnsupportedError          the server or its model cannot do this
      +- UnauthenticatedError      no token or certificate that the server takes
      +- PermissionDeniedError     this caller may not             (also a PermissionError)
      +- OverloadedError           the server shed load, wait and try again
      +- DeadlineExceededError     no answer in time               (also a TimeoutError)
      +- UnavailableError          no server, or none ready        (also a ConnectionError)
      +- ServerError               the server failed
      +- CallCancelledError        the program itself cancelled the call
      +- UnusableClientError       the client is closed, or of another process or event loop

The gRPC error, where there was one, is the `__cause__`.
"""

import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import grpc

if TYPE_CHECKING:
    from google.protobuf.any_pb2 import Any as AnyMessage

_DETAILS_KEY: Final = "grpc-status-details-bin"
_REQUEST_ID_KEY: Final = "x-request-id"


class RecommenderError(Exception):
    """Base of everything this client raises on purpose."""

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        retry_after_s: float | None = None,
        request_id: str = "",
    ) -> None:
        """Keeps what the server said; `message` is one line for people."""
        super().__init__(message)
        self.reason = reason
        """Stable machine-readable cause, e.g. `QUEUE_FULL`; empty if the server sent none."""
        self.retry_after_s = retry_after_s
        """Seconds that the server asks you to wait, or None."""
        self.request_id = request_id
        """Finds the call in the server's log; empty if the server sent none."""


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One argument that the server refused."""

    field: str
    """Name of the request's field, e.g. "k"."""
    description: str
    """What was wrong with it and what is allowed."""


class InvalidRequestError(RecommenderError, ValueError):
    """The request can never succeed; fix the arguments that `violations` names."""

    violations: tuple[FieldViolation, ...] = ()
    """Every argument that was wrong, if the server named them."""


class NotFoundError(RecommenderError):
    """The server has no such model, the model no version so labelled, or none of the items.

    `reason` tells which: `MODEL_UNKNOWN`, `LABEL_UNKNOWN` (ask again without the label) or
    `ITEM_UNKNOWN`; `list_models` tells which models and labels there are.
    """


class NotPersonalError(NotFoundError):
    """Nothing is known of who asks, and popular items were not wanted; ask without `strict`."""


class ModelRetiredError(NotFoundError):
    """The model version that must answer does not serve; begin anew without a version."""


class UnsupportedError(RecommenderError):
    """The server has no store of events, or its model lacks what the request needs."""


class UnauthenticatedError(RecommenderError):
    """The server takes neither token nor certificate of this caller; get another."""


class PermissionDeniedError(RecommenderError, PermissionError):
    """The server knows the caller, who may not do this; ask whoever runs it."""


class OverloadedError(RecommenderError):
    """The server shed load; wait `retry_after_s`, then try again."""


class DeadlineExceededError(RecommenderError, TimeoutError):
    """No answer came in time; ask again with a longer timeout, or do without."""


class UnavailableError(RecommenderError, ConnectionError):
    """No server answered, none is ready, or it let the call go unseen; try again later."""


class ServerError(RecommenderError):
    """The server failed; report `request_id` to whoever runs it."""


class CallCancelledError(RecommenderError):
    """`TimeBudget.cancel` ended the call; asyncio's own cancelling raises CancelledError."""


class UnusableClientError(RecommenderError):
    """The client is closed, or was used in another event loop or before a fork; make another."""


_CLASS_OF: Final[Mapping[grpc.StatusCode, type[RecommenderError]]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.FAILED_PRECONDITION: UnsupportedError,
    grpc.StatusCode.UNIMPLEMENTED: UnsupportedError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: OverloadedError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    # By the server: a caller who cancels gets asyncio's CancelledError. gRPC lets go like this of
    # calls that an overloaded server has not seen, and of those that outlast its shutdown.
    grpc.StatusCode.CANCELLED: UnavailableError,
    grpc.StatusCode.INTERNAL: ServerError,
    grpc.StatusCode.UNKNOWN: ServerError,
    grpc.StatusCode.DATA_LOSS: ServerError,
}
_CLASS_OF_REASON: Final[Mapping[str, type[RecommenderError]]] = {
    "NOT_PERSONAL": NotPersonalError,
    "VERSION_RETIRED": ModelRetiredError,
}


def refusal(place: str, value: object, allowed: str) -> InvalidRequestError:
    """Makes the exception for a value that cannot be sent."""
    return violating(place, f"is {reprlib.repr(value)}, must be {allowed}")


def violating(place: str, description: str) -> InvalidRequestError:
    """Makes the exception for one violation, worded as the server words its own."""
    error = InvalidRequestError(f"{place}: {description}")
    error.violations = (FieldViolation(place, description),)
    return error


@dataclass(slots=True)
class _Details:
    """What a server attached to an error."""

    reason: str = ""
    retry_after_s: float | None = None
    request_id: str = ""
    violations: tuple[FieldViolation, ...] = ()


def error_code(error: grpc.RpcError) -> grpc.StatusCode | None:
    """Returns the status of gRPC's exception, if it has one."""
    # An interceptor may raise a bare RpcError, which has none of these methods.
    return error.code() if hasattr(error, "code") else None


def from_rpc_error(error: grpc.RpcError) -> RecommenderError:
    """Makes our exception from gRPC's, be it of a blocking or of an asyncio call.

    Never raises: details that cannot be read are left out. Use as
    `raise from_rpc_error(error) from error`.
    """
    code = error_code(error)
    text = (error.details() if hasattr(error, "details") else None) or ""
    trailing = _metadata(error, "trailing_metadata")
    details = _read_details(trailing.get(_DETAILS_KEY, b""))
    request_id = details.request_id or _text(
        trailing.get(_REQUEST_ID_KEY) or _metadata(error, "initial_metadata").get(_REQUEST_ID_KEY)
    )
    ours = _class_of(code, details.reason)(
        _message(code, text, details),
        reason=details.reason,
        retry_after_s=details.retry_after_s,
        request_id=request_id,
    )
    if isinstance(ours, InvalidRequestError):
        ours.violations = details.violations
    return ours


def _class_of(code: grpc.StatusCode | None, reason: str) -> type[RecommenderError]:
    general = _CLASS_OF.get(code, RecommenderError) if code else RecommenderError
    special = _CLASS_OF_REASON.get(reason, general)
    # A reason may narrow its code's class down, never gainsay it.
    return special if issubclass(special, general) else general


def _message(code: grpc.StatusCode | None, text: str, details: _Details) -> str:
    """One readable line: the violations, else the server's text, else the code in words."""
    if details.violations:
        text = "; ".join(f"{each.field}: {each.description}" for each in details.violations)
    elif code is grpc.StatusCode.DEADLINE_EXCEEDED and not details.reason:
        text = "no answer before the deadline"
    elif not text:
        words = code.name.lower().replace("_", " ") if code else "no status"
        text = f"the call failed without a message: {words}"
    return " ".join(text.split())


def _metadata(error: grpc.RpcError, method: str) -> dict[str, str | bytes]:
    """Reads metadata of either gRPC API, where it may also be absent or None."""
    read = getattr(error, method, None)
    pairs: Iterable[tuple[str, str | bytes]] = (read() if read else None) or ()
    return dict(pairs)


def _text(value: str | bytes | None) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value or ""


def _read_details(header: str | bytes) -> _Details:
    # Imported here because a client without failures never needs them.
    from google.protobuf.message import DecodeError
    from google.rpc import status_pb2

    found = _Details()
    try:
        status = status_pb2.Status.FromString(header if isinstance(header, bytes) else b"")
        for packed in status.details:
            _read_detail(packed, found)
    except DecodeError:
        # A proxy may put anything here; the code and the text still stand.
        return found
    return found


def _read_detail(packed: "AnyMessage", found: _Details) -> None:
    from google.rpc import error_details_pb2

    info = error_details_pb2.ErrorInfo()
    retry = error_details_pb2.RetryInfo()
    bad_request = error_details_pb2.BadRequest()
    if packed.Unpack(info):
        found.reason = info.reason
        found.request_id = info.metadata.get("request_id", "")
    elif packed.Unpack(retry) and retry.HasField("retry_delay"):
        delay = retry.retry_delay
        found.retry_after_s = max(0.0, delay.seconds + delay.nanos / 1e9)
    elif packed.Unpack(bad_request):
        found.violations = tuple(
            FieldViolation(each.field, each.description) for each in bad_request.field_violations
        )
