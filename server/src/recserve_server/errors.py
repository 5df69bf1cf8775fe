"""What a server refuses and why, and the one table from there to gRPC.

    ServingError
    |-- InvalidRequest    the request can never succeed
    |-- MalformedMessage  the bytes are not the message they should be
    |-- UnknownModel      no such model here
    |-- VersionRetired    the version that must answer does not serve
    |-- UnknownItems      the model knows none of the items
    |-- NotPersonal       the caller wants a personal ranking or none
    |-- NotInModel        the model cannot do what is asked
    |-- EventsDisabled    the server keeps no events
    |-- StoreUnavailable  events cannot be kept now
    |-- QueueFull         too much is waiting
    |-- NotReady          starting, or going down
    |-- DeadlineTooShort  the deadline would pass before the model is asked
    |-- ExpiredInQueue    the deadline passed before the model was asked
    `-- ModelFailed       the model did not answer as it must

A status carries exactly one google.rpc.ErrorInfo (AIP-193).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from google.protobuf import any_pb2, duration_pb2, message
from google.rpc import code_pb2, error_details_pb2, status_pb2


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field that is not as it must be."""

    field: str
    """Path of the field, e.g. `user_id`."""
    description: str
    """What was seen and what is allowed."""


class ServingError(Exception):
    """Base of everything a call can be refused with; the text goes to the caller."""

    code: ClassVar[int] = code_pb2.INTERNAL
    reason: ClassVar[str] = "UNEXPECTED"

    def __init__(
        self,
        text: str,
        *,
        metadata: Mapping[str, str] | None = None,
        details: Sequence[message.Message] = (),
    ) -> None:
        super().__init__(text)
        self.metadata = dict(metadata or {})
        """Every changing part of the text, for programs."""
        self.details = tuple(details)
        """Further google.rpc details."""

    def __reduce__(self) -> tuple[object, ...]:
        """Lets it leave the model process: subclasses are not made again from their text."""
        return _restored, (type(self), str(self), self.__dict__)


class InvalidRequest(ServingError):
    """The request can never succeed; every violation is listed."""

    code = code_pb2.INVALID_ARGUMENT
    reason = "INVALID_FIELDS"

    def __init__(self, violations: Sequence[FieldViolation]) -> None:
        field_violation = error_details_pb2.BadRequest.FieldViolation
        packed = [field_violation(field=v.field, description=v.description) for v in violations]
        super().__init__(
            "; ".join(f"{each.field} {each.description}" for each in violations),
            details=[error_details_pb2.BadRequest(field_violations=packed)],
        )
        self.violations = tuple(violations)


class MalformedMessage(ServingError):
    """The request's bytes do not parse."""

    code = code_pb2.INVALID_ARGUMENT
    reason = "MALFORMED_MESSAGE"

    def __init__(self, method: str) -> None:
        super().__init__(
            f"the request's bytes are no message of {method}", metadata={"method": method}
        )


class UnknownModel(ServingError):
    """The server has no such model, or no such version of it."""

    code = code_pb2.NOT_FOUND
    reason = "MODEL_UNKNOWN"

    def __init__(self, name: str, version: int = 0) -> None:
        if version:
            text, metadata = (
                f"there is no version {version} of model {name!r}",
                {"version": str(version)},
            )
        else:
            text, metadata = f"there is no model {name!r}", {}
        super().__init__(text, metadata={"name": name, **metadata})


class VersionRetired(ServingError):
    """The version that must answer does not serve (any more)."""

    code = code_pb2.NOT_FOUND
    reason = "VERSION_RETIRED"

    def __init__(self, name: str, version: int, serving: int) -> None:
        super().__init__(
            f"version {version} of model {name!r} does not serve, version {serving} does",
            metadata={"name": name, "version": str(version), "serving": str(serving)},
        )


class NotPersonal(ServingError):
    """The caller wants no popular items, and there is nothing else."""

    code = code_pb2.NOT_FOUND
    reason = "NOT_PERSONAL"

    def __init__(self, fallback_reason: str) -> None:
        super().__init__(
            f"there is no personal ranking, the reason is {fallback_reason}",
            metadata={"fallback_reason": fallback_reason},
        )


class UnknownItems(ServingError):
    """The model knows none of the items that others are to be similar to."""

    code = code_pb2.NOT_FOUND
    reason = "ITEM_UNKNOWN"

    def __init__(self, item_ids: Sequence[str]) -> None:
        super().__init__(
            f"the model knows none of the items, such as {item_ids[0]!r}",
            metadata={"item_id": item_ids[0]},
        )


class NotInModel(ServingError):
    """The model was exported without what the request needs."""

    code = code_pb2.FAILED_PRECONDITION
    reason = "NOT_IN_MODEL"

    def __init__(self, signature: str) -> None:
        super().__init__(
            f"the model has no signature {signature}, which the request needs; export it anew with "
            "this version of recserve-train",
            metadata={"signature": signature},
        )


class _RetryLater(ServingError):
    def __init__(self, text: str, retry_after_s: float, **metadata: str) -> None:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(retry_after_s * 1e9))
        retry = error_details_pb2.RetryInfo(retry_delay=delay)
        super().__init__(text, metadata=metadata, details=[retry])
        self.retry_after_s = retry_after_s


class QueueFull(_RetryLater):
    """As many requests wait as may; come back after the delay."""

    code = code_pb2.RESOURCE_EXHAUSTED
    reason = "QUEUE_FULL"

    def __init__(self, max_enqueued: int, retry_after_s: float) -> None:
        super().__init__(
            f"{max_enqueued} requests are waiting already",
            retry_after_s,
            max_enqueued=str(max_enqueued),
        )


class NotReady(_RetryLater):
    """No model is loaded yet, or the server is going down; another replica may answer."""

    code = code_pb2.UNAVAILABLE
    reason = "NOT_READY"

    def __init__(self, text: str, retry_after_s: float = 1.0) -> None:
        super().__init__(text, retry_after_s)


class StoreUnavailable(_RetryLater):
    """Events cannot be kept or read now; it does no harm to send them again."""

    code = code_pb2.UNAVAILABLE
    reason = "STORE_UNAVAILABLE"

    def __init__(self, text: str, retry_after_s: float = 1.0) -> None:
        super().__init__(text, retry_after_s)


class EventsDisabled(ServingError):
    """The server keeps no events."""

    code = code_pb2.FAILED_PRECONDITION
    reason = "EVENTS_DISABLED"

    def __init__(self) -> None:
        super().__init__("this server keeps no events; --events makes it do so")


class DeadlineTooShort(ServingError):
    """The queue is longer than the caller will wait; nothing was queued."""

    code = code_pb2.DEADLINE_EXCEEDED
    reason = "DEADLINE_TOO_SHORT"

    def __init__(self, timeout_s: float, wait_s: float) -> None:
        timeout_ms, wait_ms = f"{timeout_s * 1000:.1f}", f"{wait_s * 1000:.1f}"
        super().__init__(
            f"the deadline is {timeout_ms} ms away, the wait is estimated at {wait_ms} ms",
            metadata={"timeout_ms": timeout_ms, "estimated_wait_ms": wait_ms},
        )


class ExpiredInQueue(ServingError):
    """The deadline passed while the request waited; nothing was computed."""

    code = code_pb2.DEADLINE_EXCEEDED
    reason = "EXPIRED_IN_QUEUE"

    def __init__(self, queue_s: float) -> None:
        queue_ms = f"{queue_s * 1000:.1f}"
        super().__init__(
            f"the deadline passed after {queue_ms} ms in the queue", metadata={"queue_ms": queue_ms}
        )


class ModelFailed(ServingError):
    """The model raised or broke its contract; details are in the server's log only."""

    reason = "MODEL_FAILED"

    def __init__(self) -> None:
        super().__init__("the model failed")


class Unexpected(ServingError):
    """Anything else: a defect of the server."""

    def __init__(self) -> None:
        super().__init__("internal error")


def _restored(kind: type[ServingError], text: str, attributes: dict[str, object]) -> ServingError:
    error = kind.__new__(kind)
    Exception.__init__(error, text)
    error.__dict__.update(attributes)
    return error


def to_status(error: ServingError, *, domain: str, request_id: str) -> status_pb2.Status:
    """Returns the google.rpc.Status that tells `error` to a caller of service `domain`."""
    metadata = dict(error.metadata)
    text = str(error)
    if error.code == code_pb2.INTERNAL:
        metadata["request_id"] = request_id
        text = f"{text} (request {request_id})"
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=domain, metadata=metadata)
    return status_pb2.Status(
        code=error.code, message=text, details=[_pack(info), *map(_pack, error.details)]
    )


def _pack(detail: message.Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
