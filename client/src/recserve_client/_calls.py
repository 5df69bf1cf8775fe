"""What the blocking and the asyncio client share; does no I/O itself."""

import asyncio
import reprlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

import grpc
from google.protobuf.message import Message
from grpc import aio

from recserve.v1 import model_service_pb2 as model_pb
from recserve.v1 import recommendation_service_pb2 as recommendation_pb

from . import _convert
from ._errors import (
    DeadlineExceededError,
    FieldViolation,
    InvalidRequestError,
    RecommenderError,
    error_code,
    from_rpc_error,
)
from ._types import ModelVersion

_MAX_TIMEOUT_S: Final = 86_400.0
_CLOSED: Final = "the client is closed"
_ALLOWED: Final[Mapping[str, str]] = {
    "user_id": "a str",
    "user_ids": "a sequence of str",
    "k": "an int of 32 bits",
    "model": "a str",
    "include_seen": "a bool",
    "name": "a str",
    "version": "an int of 64 bits",
    "service": "a str",
}

HEALTH_CHECK_METHOD: Final = "/grpc.health.v1.Health/Check"

_Request = TypeVar("_Request", bound=Message)


def filled(request: _Request, place: str = "", /, **fields: object) -> _Request:
    """Sets the fields of `request` and returns it.

    Args:
        request: The message to fill.
        place: Where it stands in a larger one, as the server writes it: "requests[3].".
        **fields: The values by name of their field.

    Raises:
        InvalidRequestError: a value is of the wrong type or too large for its field. Everything
            else about it is the server's to judge.
    """
    for field, value in fields.items():
        try:
            setattr(request, field, value)
        except (TypeError, ValueError) as error:
            raise _refusal(f"{place}{field}", value, _ALLOWED[field]) from error
    return request


def _refusal(place: str, value: object, allowed: str) -> InvalidRequestError:
    violation = FieldViolation(place, f"is {reprlib.repr(value)}, must be {allowed}")
    refusal = InvalidRequestError(f"{violation.field}: {violation.description}")
    refusal.violations = (violation,)
    return refusal


def recommend_request(
    user_id: str, *, k: int, model: str, include_seen: bool, place: str = ""
) -> recommendation_pb.RecommendRequest:
    """Builds the question; raises InvalidRequestError as `filled` does."""
    request = recommendation_pb.RecommendRequest()
    return filled(request, place, user_id=user_id, k=k, model=model, include_seen=include_seen)


def batch_recommend_request(
    user_ids: Sequence[str], *, k: int, model: str, include_seen: bool
) -> recommendation_pb.BatchRecommendRequest:
    """Builds one question per user, in their order; how many may be is the server's to judge.

    Raises:
        InvalidRequestError: as `filled` does, with the place as in "requests[3].user_id"; or
            `user_ids` is no sequence, or one str, which would be a user per character.
    """
    if isinstance(user_ids, str) or not isinstance(user_ids, Iterable):
        raise _refusal("user_ids", user_ids, _ALLOWED["user_ids"])
    return recommendation_pb.BatchRecommendRequest(
        requests=[
            recommend_request(
                user_id, k=k, model=model, include_seen=include_seen, place=f"requests[{index}]."
            )
            for index, user_id in enumerate(user_ids)
        ]
    )


def get_model_request(name: str, version: int) -> model_pb.GetModelRequest:
    """Builds the question; raises InvalidRequestError as `filled` does."""
    return filled(model_pb.GetModelRequest(), name=name, version=version)


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
