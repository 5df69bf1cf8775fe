"""What the blocking and the asyncio client share; does no I/O itself."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import grpc
from grpc import aio

from recserve.v1 import model_service_pb2 as model_pb

from . import _convert
from ._errors import (
    DeadlineExceededError,
    InvalidRequestError,
    ModelRetiredError,
    RecommenderError,
    error_code,
    from_rpc_error,
)
from ._types import ModelVersion

_MAX_TIMEOUT_S: Final = 86_400.0
_CLOSED: Final = "the client is closed"

HEALTH_CHECK_METHOD: Final = "/grpc.health.v1.Health/Check"


def checked_timeout_s(timeout_s: object) -> float:
    """Returns `timeout_s`; raises InvalidRequestError if no deadline can be made of it."""
    if not isinstance(timeout_s, int | float) or not 0 < timeout_s <= _MAX_TIMEOUT_S:
        raise InvalidRequestError(
            f"timeout_s: is {timeout_s!r}, must be above 0 and at most {_MAX_TIMEOUT_S:.0f} seconds"
        )
    return timeout_s


class ModelWalk:
    """Follows the page tokens of ListModels; one deadline covers all pages."""

    def __init__(self, timeout_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._deadline_s = clock() + timeout_s
        self._models: list[ModelVersion] = []
        self._request: model_pb.ListModelsRequest | None = model_pb.ListModelsRequest()

    def next_request(self) -> model_pb.ListModelsRequest | None:
        """Returns the request for the next page, or None after the last."""
        return self._request

    def remaining_s(self) -> float:
        """Seconds left for the next page; raises DeadlineExceededError when none are."""
        remaining_s = self._deadline_s - self._clock()
        if remaining_s <= 0:
            raise DeadlineExceededError("no answer before the deadline")
        return remaining_s

    def add(self, page: model_pb.ListModelsResponse) -> None:
        """Takes the page that answers the request."""
        self._models += map(_convert.model_version, page.models)
        token = page.next_page_token
        self._request = model_pb.ListModelsRequest(page_token=token) if token else None

    @property
    def models(self) -> tuple[ModelVersion, ...]:
        """All models of the pages so far, in the server's order."""
        return tuple(self._models)


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


class CallGuard:
    """Refuses calls on a closed client and turns gRPC's errors into ours."""

    def __init__(self) -> None:
        self.closed = False

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Surrounds one call; everything that gRPC raises leaves as a RecommenderError."""
        if self.closed:
            raise RecommenderError(_CLOSED)
        try:
            yield
        except grpc.RpcError as error:
            if self.closed and error_code(error) is grpc.StatusCode.CANCELLED:
                raise RecommenderError(_CLOSED) from error
            raise from_rpc_error(error) from error
        except (ValueError, aio.UsageError) as error:
            # So gRPC says that the client was closed between the check above and the call.
            if self.closed:
                raise RecommenderError(_CLOSED) from error
            raise
        except asyncio.CancelledError as error:
            # Closing an asyncio channel cancels its calls, which is not the caller's own wish.
            task = asyncio.current_task()
            if self.closed and task is not None and not task.cancelling():
                raise RecommenderError(_CLOSED) from error
            raise
