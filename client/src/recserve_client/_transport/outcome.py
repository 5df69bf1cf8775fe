"""What became of a call: gRPC's exceptions to ours."""

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import grpc
from grpc import aio

from recserve_client._errors import (
    CallCancelledError,
    DeadlineExceededError,
    InvalidRequestError,
    ModelRetiredError,
    OverloadedError,
    RecommenderError,
    UnauthenticatedError,
    UnusableClientError,
    error_code,
    from_rpc_error,
)

from .budget import TimeBudget, budget_cancelled_error

_CLOSED = "the client is closed"

FAILURES = (grpc.RpcError, grpc.FutureCancelledError, ValueError, aio.UsageError)
"""What gRPC raises of calls."""

_TOO_LARGE: Final = re.compile(
    r"((?:CLIENT|SERVER): (?:Received|Sent)) message larger than max \(\d+ vs\. \d+\)"
)
_ADVICE: Final[Mapping[str, str]] = {
    "CLIENT: Received": "ask for less at a time, or raise max_receive_bytes of ChannelConfig",
    "CLIENT: Sent": "send less at a time; the limit is max_send_bytes of ChannelConfig",
    "SERVER: Received": "send less at a time",
    "SERVER: Sent": "ask for less at a time",
}
"""What to do about a message that is too large, by how gRPC says who refused it."""

_CODE_NAMES: Final[Mapping[type[RecommenderError], str]] = {
    CallCancelledError: "CANCELLED",
    DeadlineExceededError: "DEADLINE_EXCEEDED",
    InvalidRequestError: "INVALID_ARGUMENT",
    UnauthenticatedError: "UNAUTHENTICATED",
    UnusableClientError: "CANCELLED",
}
"""What the client raises without having asked a server."""


def closed_error() -> UnusableClientError:
    """Makes the exception for a call on a closed client."""
    return UnusableClientError(_CLOSED)


def translated(
    error: BaseException, is_closed: bool, budget: TimeBudget | None
) -> RecommenderError | None:
    """Returns our exception for one of `FAILURES`; None if it is a mistake of ours."""
    if not isinstance(error, grpc.RpcError):
        is_cancel = isinstance(error, grpc.FutureCancelledError)
        if is_cancel and budget is not None and budget.is_cancelled:
            return budget_cancelled_error()
        # So gRPC says that the channel was closed while a call began.
        return closed_error() if is_closed else None
    is_cancel = error_code(error) is grpc.StatusCode.CANCELLED
    ours = _ended_here(is_closed, budget) if is_cancel else None
    return ours or _with_advice(from_rpc_error(error))


def cancelled(is_closed: bool, budget: TimeBudget | None) -> RecommenderError | None:
    """Returns our exception for asyncio's CancelledError; None if the task is being cancelled."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        return None
    # Closing an asyncio channel cancels its calls, which is not the caller's own wish.
    return _ended_here(is_closed, budget)


def code_name(error: RecommenderError | None) -> str:
    """Names the gRPC status of a call that ended with `error`, or well."""
    if error is None:
        return "OK"
    cause = error.__cause__
    code = error_code(cause) if isinstance(cause, grpc.RpcError) else None
    return code.name if code is not None else _CODE_NAMES.get(type(error), "UNKNOWN")


@contextmanager
def anew_if_retired() -> Iterator[None]:
    """Surrounds a call that continues a list; says what to do if its model does not serve."""
    try:
        yield
    except ModelRetiredError as error:
        raise ModelRetiredError(
            f"{error}; the list must be begun anew",
            reason=error.reason,
            retry_after_s=error.retry_after_s,
            request_id=error.request_id,
        ) from error.__cause__


def _ended_here(is_closed: bool, budget: TimeBudget | None) -> RecommenderError | None:
    """Returns our exception for a call that the client itself cancelled; None if it did not."""
    if is_closed:
        return closed_error()
    if budget is not None and budget.is_cancelled:
        return budget_cancelled_error()
    return None


def _with_advice(error: RecommenderError) -> RecommenderError:
    # To gRPC a message that is too large is exhausted resources, but waiting would not help.
    found = _TOO_LARGE.search(str(error)) if isinstance(error, OverloadedError) else None
    if found is None:
        return error
    text = f"{found[0]}: {_ADVICE[found[1]]}"
    return OverloadedError(text, reason=error.reason, request_id=error.request_id)
