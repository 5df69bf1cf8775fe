"""What a call is refused with, told as the real server tells it."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

_MOST_TOLD: Final = 16


class Violation(NamedTuple):
    """One field that is not as it must be."""

    field: str
    description: str


class RefusedError(Exception):
    """Ends a call with a status other than OK."""

    def __init__(
        self,
        code: grpc.StatusCode,
        reason: str,
        text: str,
        *,
        metadata: Mapping[str, str] | None = None,
        details: Sequence[Message] = (),
    ) -> None:
        """Takes what the caller is told; without a reason there is no google.rpc.ErrorInfo."""
        super().__init__(text)
        self.code, self.reason = code, reason
        self.metadata, self.details = dict(metadata or {}), tuple(details)

    def told(
        self, service: str, request_id: str
    ) -> tuple[str, tuple[tuple[str, str | bytes], ...]]:
        """Returns the text and the trailers that the caller of a service, by full name, gets."""
        text, metadata, details = str(self), dict(self.metadata), list(self.details)
        if self.code is grpc.StatusCode.INTERNAL:
            text, metadata["request_id"] = f"{text} (request {request_id})", request_id
        if self.reason:
            told = error_details_pb2.ErrorInfo(
                reason=self.reason, domain=service, metadata=metadata
            )
            details.insert(0, told)
        if not details:
            return text, ()
        status = status_pb2.Status(
            code=self.code.value[0], message=text, details=map(_packed, details)
        )
        return text, (("grpc-status-details-bin", status.SerializeToString()),)


def retry_after(retry_after_s: float) -> Message:
    """Returns the google.rpc detail that asks the caller to wait."""
    delay = Duration()
    delay.FromNanoseconds(round(retry_after_s * 1e9))
    retry: Message = error_details_pb2.RetryInfo(retry_delay=delay)
    return retry


def invalid_fields(violations: Sequence[Violation]) -> RefusedError:
    """Refuses a request that can never succeed."""
    field_violation = error_details_pb2.BadRequest.FieldViolation
    packed = [
        field_violation(field=each.field, description=each.description) for each in violations
    ]
    return RefusedError(
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_FIELDS",
        "; ".join(f"{each.field} {each.description}" for each in violations),
        details=[error_details_pb2.BadRequest(field_violations=packed)],
    )


def refuse_any(violations: Sequence[Violation], place: str) -> None:
    """Raises a RefusedError if anything is wrong.

    Args:
        violations: What is wrong.
        place: Where the note stands that there is more: a status must fit into 8 KiB of trailers.
    """
    if len(violations) > _MOST_TOLD:
        more = Violation(place, f"have {len(violations) - _MOST_TOLD} more violations")
        violations = [*violations[:_MOST_TOLD], more]
    if violations:
        raise invalid_fields(violations)


def malformed_message(method: str) -> RefusedError:
    """Refuses bytes that are not the message they should be."""
    return RefusedError(
        grpc.StatusCode.INVALID_ARGUMENT,
        "MALFORMED_MESSAGE",
        f"the request's bytes are no message of {method}",
        metadata={"method": method},
    )


def model_unknown(name: str, version: int = 0) -> RefusedError:
    """Refuses a question to a model, or to a version of it, that there is not."""
    which = f"version {version} of model {name!r}" if version else f"model {name!r}"
    metadata = {"name": name} | ({"version": str(version)} if version else {})
    return RefusedError(
        grpc.StatusCode.NOT_FOUND, "MODEL_UNKNOWN", f"there is no {which}", metadata=metadata
    )


def version_retired(name: str, version: int, serving: int) -> RefusedError:
    """Refuses a question to a version that does not serve."""
    return RefusedError(
        grpc.StatusCode.NOT_FOUND,
        "VERSION_RETIRED",
        f"version {version} of model {name!r} does not serve, version {serving} does",
        metadata={"name": name, "version": str(version), "serving": str(serving)},
    )


def label_unknown(name: str, label: str) -> RefusedError:
    """Refuses a question to a label that no version has."""
    return RefusedError(
        grpc.StatusCode.NOT_FOUND,
        "LABEL_UNKNOWN",
        f"no version of model {name!r} is labelled {label!r}",
        metadata={"name": name, "label": label},
    )


def not_personal(fallback_reason: str) -> RefusedError:
    """Refuses who wants no popular items where there is nothing else."""
    return RefusedError(
        grpc.StatusCode.NOT_FOUND,
        "NOT_PERSONAL",
        f"there is no personal ranking, the reason is {fallback_reason}",
        metadata={"fallback_reason": fallback_reason},
    )


def item_unknown(item_id: str) -> RefusedError:
    """Refuses to find what is like items of which the model knows none."""
    return RefusedError(
        grpc.StatusCode.NOT_FOUND,
        "ITEM_UNKNOWN",
        f"the model knows none of the items, such as {item_id!r}",
        metadata={"item_id": item_id},
    )


def not_ready() -> RefusedError:
    """Refuses everything while the server is down."""
    return RefusedError(
        grpc.StatusCode.UNAVAILABLE,
        "NOT_READY",
        "the fake server was told to go down",
        details=[retry_after(1.0)],
    )


def unauthenticated(has_authorization: bool) -> RefusedError:
    """Refuses who does not bear the token, but perhaps another one."""
    text = (
        "the authorization is not known here"
        if has_authorization
        else "the call has no bearer token"
    )
    return RefusedError(grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", text)


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
