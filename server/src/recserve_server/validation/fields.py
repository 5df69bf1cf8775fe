"""Checks that requests of all kinds share; every function returns what is wrong."""

import math
import re
from collections.abc import Sequence
from typing import Final, Protocol

from recserve_server.config import Limits
from recserve_server.errors import FieldViolation, InvalidRequest

LABELS: Final = ("stable", "canary")
"""What a version can be to callers."""
_MOST_TOLD: Final = 16
_LONGEST_LABEL: Final = 32
_LONGEST_QUOTED: Final = 128
_ROOM_BYTES: Final = 6000
"""What violations may take of the trailers; the rest is for what every status has."""
# All of Unicode's category Cc.
_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def refuse_any(violations: list[FieldViolation], field: str) -> None:
    """Raises if anything is wrong.

    Args:
        violations: what is wrong.
        field: where the note stands that there is more: one mistake may be in every element, and a
            status must fit into 8 KiB of trailers.

    Raises:
        InvalidRequest: with the first 16 violations, or as many as fit.
    """
    if not violations:
        return
    told: list[FieldViolation] = []
    room = _ROOM_BYTES
    for violation in violations[:_MOST_TOLD]:
        room -= _trailer_bytes(violation)
        if room < 0 and told:
            break
        told.append(violation)
    if len(told) < len(violations):
        more = len(violations) - len(told)
        told.append(FieldViolation(field, f"have {more} more violations"))
    raise InvalidRequest(told)


def _trailer_bytes(violation: FieldViolation) -> int:
    """Returns what a violation takes: percent-encoded in the text, in base64 in the details."""
    text = violation.field + violation.description
    encoded = len(text.encode())
    return encoded + 2 * (encoded - len(text)) * 2 + 4 * encoded // 3 + 10


def quoted(text: str) -> str:
    """Returns a text as it is told: in quotes, cut to what an id may be long."""
    cut = text[:_LONGEST_QUOTED]
    return f"{cut!r}" if cut == text else f"{cut!r}..."


def text_violations(
    field: str, text: str, limits: Limits, *, may_be_empty: bool = False
) -> list[FieldViolation]:
    """Checks an id or a name."""
    if not text:
        return [] if may_be_empty else [FieldViolation(field, "is empty, must be given")]
    size = len(text.encode())
    if size > limits.max_id_bytes:
        return [FieldViolation(field, f"has {size} bytes, must have at most {limits.max_id_bytes}")]
    control = _CONTROL_CHARACTER.search(text)
    if control:
        return [
            FieldViolation(
                field,
                f"has the control character U+{ord(control[0]):04X} at position {control.start()}, "
                "must have none",
            )
        ]
    return []


def ids_violations(
    field: str, item_ids: Sequence[str], limits: Limits, most: int
) -> list[FieldViolation]:
    """Checks a list of ids."""
    violations = count_violations(field, len(item_ids), most)
    if violations or _are_obviously_sound(item_ids, limits):
        return violations
    return [
        violation
        for place, item_id in enumerate(item_ids)
        for violation in text_violations(f"{field}[{place}]", item_id, limits)
    ]


def _are_obviously_sound(texts: Sequence[str], limits: Limits) -> bool:
    """Looks at all texts at once; what is sound though it does not look so is looked at again."""
    joined = "".join(texts)
    return (
        joined.isascii()
        and joined.isprintable()
        and all(texts)
        and max(map(len, texts), default=0) <= limits.max_id_bytes
    )


def count_violations(field: str, count: int, most: int, least: int = 0) -> list[FieldViolation]:
    """Checks how many elements a list has."""
    if least <= count <= most:
        return []
    allowed = f"from {least} to {most}" if least else f"at most {most}"
    return [FieldViolation(field, f"has {count} elements, must have {allowed}")]


def repeats_violations(field: str, names: Sequence[str]) -> list[FieldViolation]:
    """Checks that nothing occurs twice."""
    place_of: dict[str, int] = {}
    violations = []
    for place, name in enumerate(names):
        first = place_of.setdefault(name, place)
        if first != place:
            violations.append(
                FieldViolation(
                    f"{field}[{place}]", f"is {quoted(name)} as [{first}], must be there once"
                )
            )
    return violations


def finite_violations(field: str, number: float) -> list[FieldViolation]:
    """Checks a number."""
    if math.isfinite(number):
        return []
    return [FieldViolation(field, f"is {number}, must be a finite number")]


def k_violations(k: int, limits: Limits) -> list[FieldViolation]:
    """Checks how many items are wanted."""
    if 0 <= k <= limits.max_k:
        return []
    return [
        FieldViolation(
            "k", f"is {k}, must be from 1 to {limits.max_k}, or 0 for {limits.default_k}"
        )
    ]


class Addressed(Protocol):
    """A request that may name the model and the version that must answer."""

    model: str
    model_version: int
    model_label: str


def address_violations(request: Addressed, limits: Limits) -> list[FieldViolation]:
    """Checks which model must answer."""
    violations = text_violations("model", request.model, limits, may_be_empty=True)
    if request.model_version < 0:
        violations.append(
            FieldViolation("model_version", f"is {request.model_version}, must be 1 or more, or 0")
        )
    label = request.model_label
    if label and label not in LABELS:
        seen = label[:_LONGEST_LABEL]
        violations.append(FieldViolation("model_label", f"is {seen!r}, must be stable or canary"))
    elif label and request.model_version:
        violations.append(
            FieldViolation("model_label", "is given with model_version, must be given alone")
        )
    return violations
