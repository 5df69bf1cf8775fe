"""Which items a request lets come back: exclusions, allowed items, filters."""

import math
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_server.config import Limits
from recserve_server.errors import FieldViolation
from recserve_server.query import (
    Attribute,
    Filter,
    Match,
    RangeFilter,
    Schema,
    Selection,
    TextFilter,
)
from recserve_server.validation.fields import (
    count_violations,
    finite_violations,
    ids_violations,
    quoted,
)

_MOST_NAMES: Final = 20
_MATCHES: Final = {"any": Match.ANY, "all": Match.ALL, "none": Match.NONE}


Selecting: TypeAlias = pb.RecommendRequest | pb.FindSimilarItemsRequest
"""A request that may restrict what comes back."""


def selection_violations(
    request: Selecting, limits: Limits, schema: Schema
) -> list[FieldViolation]:
    """Checks what a request lets come back."""
    violations = ids_violations(
        "excluded_item_ids", request.excluded_item_ids, limits, limits.max_excluded
    )
    violations += ids_violations(
        "allowed_item_ids", request.allowed_item_ids, limits, limits.max_allowed
    )
    too_many = count_violations("filters", len(request.filters), limits.max_filters)
    if too_many:
        return violations + too_many
    for place, condition in enumerate(request.filters):
        violations += _filter_violations(f"filters[{place}]", condition, limits, schema)
    return violations


def selection_of(request: Selecting) -> Selection:
    """Returns what a valid request lets come back."""
    return Selection(
        tuple(request.excluded_item_ids),
        frozenset(request.allowed_item_ids) if request.allowed_item_ids else None,
        frozenset(map(_filter_of, request.filters)),
    )


def text_attribute_violations(field: str, name: str, schema: Schema) -> list[FieldViolation]:
    """Checks the name of an attribute that must hold texts."""
    unknown = unknown_name(field, name, schema.item_attribute, schema.item_attributes)
    attribute = schema.item_attribute(name)
    if attribute is not None and attribute.is_number:
        return [FieldViolation(field, f"is {quoted(name)}, which holds numbers, must hold texts")]
    return unknown


def unknown_name(
    field: str, name: str, find: Callable[[str], object], known: Sequence[Attribute]
) -> list[FieldViolation]:
    """Checks that a name is one of the schema's, and tells which there are if it is not."""
    if find(name) is not None:
        return []
    names = ", ".join(each.name for each in known[:_MOST_NAMES]) or "none"
    more = f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
    return [FieldViolation(field, f"is {quoted(name)}, the model has {names}{more}")]


def _filter_violations(
    field: str, condition: pb.Filter, limits: Limits, schema: Schema
) -> list[FieldViolation]:
    name, kind = condition.attribute, condition.WhichOneof("condition")
    violations = unknown_name(
        f"{field}.attribute", name, schema.item_attribute, schema.item_attributes
    )
    if kind is None:
        return [
            *violations,
            FieldViolation(field, "has no condition, must have any, all, none or range"),
        ]
    attribute = schema.item_attribute(name)
    if attribute is not None and attribute.is_number != (kind == "range"):
        holds, takes = (
            ("numbers", "range") if attribute.is_number else ("texts", "any, all or none")
        )
        violations.append(
            FieldViolation(
                f"{field}.{kind}", f"is on {quoted(name)}, which holds {holds}, must be {takes}"
            )
        )
    if kind == "range":
        return violations + _range_violations(f"{field}.range", condition.range)
    values = getattr(condition, kind).values
    return violations + count_violations(
        f"{field}.{kind}.values", len(values), limits.max_filter_values, least=1
    )


def _range_violations(field: str, numbers: pb.NumberRange) -> list[FieldViolation]:
    violations = []
    for end in ("min", "max"):
        if numbers.HasField(end):
            violations += finite_violations(f"{field}.{end}", getattr(numbers, end))
    if not (numbers.HasField("min") or numbers.HasField("max")):
        violations.append(FieldViolation(field, "has no end, must have min, max or both"))
    elif numbers.HasField("min") and numbers.HasField("max") and numbers.min > numbers.max:
        violations.append(
            FieldViolation(field, f"is from {numbers.min:g} to {numbers.max:g}, must not be empty")
        )
    return violations


def _filter_of(condition: pb.Filter) -> Filter:
    kind = condition.WhichOneof("condition")
    if kind == "range":
        numbers = condition.range
        return RangeFilter(
            condition.attribute,
            numbers.min if numbers.HasField("min") else -math.inf,
            numbers.max if numbers.HasField("max") else math.inf,
        )
    assert kind is not None  # a valid request has one
    values = getattr(condition, kind).values
    return TextFilter(condition.attribute, _MATCHES[kind], frozenset(values))
