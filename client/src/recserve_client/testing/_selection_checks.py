"""What is wrong with exclusions, filters and variety; pure, as `_checks.py`."""

import math
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from recserve.v1 import recommendation_service_pb2 as pb

from ._ids import id_fault
from ._refusals import Violation

Selecting: TypeAlias = pb.RecommendRequest | pb.FindSimilarItemsRequest
"""A request that may restrict what comes back."""

MAX_ALLOWED: Final = 10_000
MAX_CAPS: Final = 8
MAX_EXCLUDED: Final = 1000
MAX_FILTERS: Final = 16
MAX_FILTER_VALUES: Final = 100
_MOST_NAMES: Final = 20


def count_violations(place: str, count: int, most: int, least: int = 0) -> list[Violation]:
    """Checks how many elements a list has."""
    if least <= count <= most:
        return []
    allowed = f"from {least} to {most}" if least else f"at most {most}"
    return [Violation(place, f"has {count} elements, must have {allowed}")]


def repeats_violations(place: str, names: Sequence[str]) -> list[Violation]:
    """Checks that nothing occurs twice."""
    first: dict[str, int] = {}
    return [
        Violation(f"{place}[{at}]", f"is {name!r} as [{first[name]}], must be there once")
        for at, name in enumerate(names)
        if first.setdefault(name, at) != at
    ]


def finite_violations(place: str, number: float) -> list[Violation]:
    """Checks a number."""
    if math.isfinite(number):
        return []
    return [Violation(place, f"is {number}, must be a finite number")]


def selection_violations(request: Selecting, holds_numbers: Mapping[str, bool]) -> list[Violation]:
    """Checks what a request lets come back.

    Args:
        request: The request.
        holds_numbers: By name of an item attribute, whether it holds numbers.
    """
    violations = _ids_violations("excluded_item_ids", request.excluded_item_ids, MAX_EXCLUDED)
    violations += _ids_violations("allowed_item_ids", request.allowed_item_ids, MAX_ALLOWED)
    return violations + (
        count_violations("filters", len(request.filters), MAX_FILTERS)
        or [
            violation
            for place, condition in enumerate(request.filters)
            for violation in _filter_violations(f"filters[{place}]", condition, holds_numbers)
        ]
    )


def diversity_violations(
    diversity: pb.Diversity, holds_numbers: Mapping[str, bool]
) -> list[Violation]:
    """Checks how varied a list is to be; the rest is as for `selection_violations`."""
    violations = []
    weight = getattr(diversity, "lambda")
    if not 0 <= weight <= 1:  # which NaN is not either
        violations.append(Violation("diversity.lambda", f"is {weight:g}, must be from 0 to 1"))
    too_many = count_violations("diversity.caps", len(diversity.caps), MAX_CAPS)
    if too_many:
        return violations + too_many
    for at, cap in enumerate(diversity.caps):
        place = f"diversity.caps[{at}]"
        violations += _name_violations(f"{place}.attribute", cap.attribute, holds_numbers)
        if holds_numbers.get(cap.attribute):
            told = f"is {cap.attribute!r}, which holds numbers, must hold texts"
            violations.append(Violation(f"{place}.attribute", told))
        if cap.max_count < 1:
            told = f"is {cap.max_count}, must be 1 or more"
            violations.append(Violation(f"{place}.max_count", told))
    names = [cap.attribute for cap in diversity.caps]
    return violations + repeats_violations("diversity.caps", names)


def _ids_violations(place: str, item_ids: Sequence[str], most: int) -> list[Violation]:
    return count_violations(place, len(item_ids), most) or [
        Violation(f"{place}[{at}]", fault)
        for at, item_id in enumerate(item_ids)
        if (fault := id_fault(item_id))
    ]


def _name_violations(place: str, name: str, holds_numbers: Mapping[str, bool]) -> list[Violation]:
    if name in holds_numbers:
        return []
    names = ", ".join(list(holds_numbers)[:_MOST_NAMES]) or "none"
    more = len(holds_numbers) - _MOST_NAMES
    told = f" and {more} more" if more > 0 else ""
    return [Violation(place, f"is {name!r}, the model has {names}{told}")]


def _filter_violations(
    place: str, condition: pb.Filter, holds_numbers: Mapping[str, bool]
) -> list[Violation]:
    name, kind = condition.attribute, condition.WhichOneof("condition")
    violations = _name_violations(f"{place}.attribute", name, holds_numbers)
    if kind is None:
        told = "has no condition, must have any, all, none or range"
        return [*violations, Violation(place, told)]
    if name in holds_numbers and holds_numbers[name] != (kind == "range"):
        holds, takes = (
            ("numbers", "range") if holds_numbers[name] else ("texts", "any, all or none")
        )
        told = f"is on {name!r}, which holds {holds}, must be {takes}"
        violations.append(Violation(f"{place}.{kind}", told))
    if kind == "range":
        return violations + _range_violations(f"{place}.range", condition.range)
    count = len(getattr(condition, kind).values)
    return violations + count_violations(
        f"{place}.{kind}.values", count, MAX_FILTER_VALUES, least=1
    )


def _range_violations(place: str, numbers: pb.NumberRange) -> list[Violation]:
    violations = finite_violations(f"{place}.min", numbers.min)
    violations += finite_violations(f"{place}.max", numbers.max)
    if not (numbers.HasField("min") or numbers.HasField("max")):
        violations.append(Violation(place, "has no end, must have min, max or both"))
    elif numbers.HasField("min") and numbers.HasField("max") and numbers.min > numbers.max:
        told = f"is from {numbers.min:g} to {numbers.max:g}, must not be empty"
        violations.append(Violation(place, told))
    return violations
