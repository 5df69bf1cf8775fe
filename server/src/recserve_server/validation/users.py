"""Who asks: user id, history and features."""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_server.config import Limits
from recserve_server.errors import FieldViolation
from recserve_server.query import HistoryEntry, Schema
from recserve_server.validation.fields import (
    count_violations,
    finite_violations,
    quoted,
    repeats_violations,
    text_violations,
)
from recserve_server.validation.selection import unknown_name

Asking: TypeAlias = pb.RecommendRequest | pb.RankItemsRequest
"""A request of somebody."""
_BEFORE_ALL: Final = (-(2**63), 0)


def user_violations(request: Asking, limits: Limits, schema: Schema) -> list[FieldViolation]:
    """Checks who asks."""
    violations = []
    if request.WhichOneof("query") is not None:
        violations += text_violations("user_id", request.user_id, limits)
    elif not (request.history or request.features):
        violations.append(
            FieldViolation("user_id", "is missing, must be given, or else history or features")
        )
    if request.history:
        violations += _history_violations(request.history, limits)
    if request.features:
        violations += _features_violations(request.features, limits, schema)
    return violations


def history_of(entries: Iterable[pb.HistoryEntry]) -> tuple[HistoryEntry, ...]:
    """Returns valid entries, oldest first, each item once.

    Entries without a time stand before those with one: nothing says that they are newer.
    """
    timed = sorted(
        entries,
        key=lambda each: (
            (each.time.seconds, each.time.nanos) if each.HasField("time") else _BEFORE_ALL
        ),
    )
    newest: dict[str, HistoryEntry] = {}
    for each in timed:
        newest.pop(each.item_id, None)
        rating = each.rating if each.HasField("rating") else float("nan")
        newest[each.item_id] = HistoryEntry(each.item_id, rating)
    return tuple(newest.values())


def features_of(features: Iterable[pb.UserFeature]) -> tuple[tuple[str, float | str], ...]:
    """Returns valid features by name."""
    return tuple(
        (each.name, each.number if each.WhichOneof("value") == "number" else each.text)
        for each in features
    )


def _history_violations(history: Sequence[pb.HistoryEntry], limits: Limits) -> list[FieldViolation]:
    violations = count_violations("history", len(history), limits.max_history)
    if violations:
        return violations
    for place, entry in enumerate(history):
        violations += text_violations(f"history[{place}].item_id", entry.item_id, limits)
        violations += finite_violations(f"history[{place}].rating", entry.rating)
    return violations


def _features_violations(
    features: Sequence[pb.UserFeature], limits: Limits, schema: Schema
) -> list[FieldViolation]:
    violations = count_violations("features", len(features), limits.max_features)
    if violations:
        return violations
    for place, feature in enumerate(features):
        violations += _feature_violations(f"features[{place}]", feature, schema)
    return violations + repeats_violations("features", [each.name for each in features])


def _feature_violations(
    field: str, feature: pb.UserFeature, schema: Schema
) -> list[FieldViolation]:
    kind, known = feature.WhichOneof("value"), schema.user_feature(feature.name)
    violations = unknown_name(
        f"{field}.name", feature.name, schema.user_feature, schema.user_features
    )
    if kind is None:
        violations.append(FieldViolation(field, "has no value, must have number or text"))
    elif known is not None and known.is_number != (kind == "number"):
        needed = "number" if known.is_number else "text"
        violations.append(
            FieldViolation(
                f"{field}.{kind}", f"is given for {quoted(feature.name)}, must be {needed}"
            )
        )
    return violations + finite_violations(f"{field}.number", feature.number)
