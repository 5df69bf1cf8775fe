"""Requests that cannot be answered as they are."""

from collections.abc import Sequence
from dataclasses import dataclass

from google.rpc import code_pb2, error_details_pb2

from recserve_server.errors.base import ServingError


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field that is not as it must be."""

    field: str
    """Path of the field, e.g. `user_id`."""
    description: str
    """What was seen and what is allowed."""


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
