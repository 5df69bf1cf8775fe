"""What is wrong with requests, worded as the real server words it; pure.

All limits of the contract are held but one: user features may have any name and either type, since
a fake server has no table of users that would tell which there are.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from recserve.v1 import feedback_service_pb2 as feedback_pb
from recserve.v1 import model_service_pb2 as model_pb
from recserve.v1 import recommendation_service_pb2 as pb
from recserve_client._questions import Priority
from recserve_client._requests import PRIORITY_KEY

from ._ids import id_fault
from ._refusals import Violation
from ._selection_checks import (
    count_violations,
    diversity_violations,
    finite_violations,
    repeats_violations,
    selection_violations,
)

Asking: TypeAlias = pb.RecommendRequest | pb.RankItemsRequest
"""A request of somebody."""

MAX_BATCH_REQUESTS: Final = 256
MAX_EVENTS: Final = 1000
MAX_FEATURES: Final = 64
MAX_HISTORY: Final = 1000
MAX_RANK_ITEMS: Final = 1000
MAX_SIMILAR_ITEMS: Final = 100
_LONGEST_LABEL: Final = 32
_S_PER_DAY: Final = 86_400


def recommend_violations(
    request: pb.RecommendRequest, max_k: int, holds_numbers: Mapping[str, bool]
) -> list[Violation]:
    """Checks a RecommendRequest.

    Args:
        request: The request.
        max_k: Largest k that is allowed.
        holds_numbers: By name of an item attribute, whether it holds numbers.
    """
    return [
        *_asker_violations(request),
        *_address_violations(request),
        *_k_violations(request.k, max_k),
        *selection_violations(request, holds_numbers),
        *_view_violations(request.view),
        *diversity_violations(request.diversity, holds_numbers),
    ]


def batch_recommend_violations(
    request: pb.BatchRecommendRequest, max_k: int, holds_numbers: Mapping[str, bool]
) -> list[Violation]:
    """Checks a BatchRecommendRequest; the rest is as for `recommend_violations`."""
    count = len(request.requests)
    if not 1 <= count <= MAX_BATCH_REQUESTS:
        return [Violation("requests", f"are {count}, must be 1 to {MAX_BATCH_REQUESTS}")]
    return [
        Violation(f"requests[{place}].{each.field}", each.description)
        for place, one in enumerate(request.requests)
        for each in recommend_violations(one, max_k, holds_numbers)
    ]


def find_similar_items_violations(
    request: pb.FindSimilarItemsRequest, max_k: int, holds_numbers: Mapping[str, bool]
) -> list[Violation]:
    """Checks a FindSimilarItemsRequest; the rest is as for `recommend_violations`."""
    return [
        *_given_violations(request.item_ids, MAX_SIMILAR_ITEMS),
        *_k_violations(request.k, max_k),
        *_address_violations(request),
        *selection_violations(request, holds_numbers),
        *_view_violations(request.view),
    ]


def rank_items_violations(request: pb.RankItemsRequest) -> list[Violation]:
    """Checks a RankItemsRequest."""
    return [
        *_asker_violations(request),
        *_given_violations(request.item_ids, MAX_RANK_ITEMS),
        *repeats_violations("item_ids", request.item_ids),
        *_address_violations(request),
        *_view_violations(request.view),
    ]


def record_events_violations(request: feedback_pb.RecordEventsRequest) -> list[Violation]:
    """Checks a RecordEventsRequest."""
    return count_violations("events", len(request.events), MAX_EVENTS, least=1) or [
        violation
        for place, event in enumerate(request.events)
        for violation in _event_violations(f"events[{place}]", event)
    ]


def get_model_violations(request: model_pb.GetModelRequest) -> list[Violation]:
    """Checks a GetModelRequest."""
    violations = _id_violations("name", request.name) if request.name else []
    if request.version < 0:
        violations.append(Violation("version", f"is {request.version}, must be 1 or more, or 0"))
    return violations


def list_models_violations(request: model_pb.ListModelsRequest) -> list[Violation]:
    """Checks a ListModelsRequest; the only page that there is has no token."""
    violations = []
    if request.page_size < 0:
        violations.append(Violation("page_size", f"is {request.page_size}, must be 0 or more"))
    if request.page_token:
        violations.append(Violation("page_token", "is not one that this server gave"))
    return violations


def priority_violations(metadata: Mapping[str, str | bytes]) -> list[Violation]:
    """Checks the priority that came beside a request, if one did."""
    priority = metadata.get(PRIORITY_KEY, Priority.INTERACTIVE)
    if priority in list(Priority):
        return []
    return [Violation(PRIORITY_KEY, f"is {priority!r}, must be {' or '.join(Priority)}")]


def _asker_violations(request: Asking) -> list[Violation]:
    violations = []
    if request.WhichOneof("query") is not None:
        violations += _id_violations("user_id", request.user_id)
    elif not (request.history or request.features):
        violations.append(
            Violation("user_id", "is missing, must be given, or else history or features")
        )
    violations += count_violations("history", len(request.history), MAX_HISTORY) or [
        violation
        for place, entry in enumerate(request.history)
        for violation in (
            *_id_violations(f"history[{place}].item_id", entry.item_id),
            *finite_violations(f"history[{place}].rating", entry.rating),
        )
    ]
    return violations + _features_violations(request.features)


def _features_violations(features: Sequence[pb.UserFeature]) -> list[Violation]:
    violations = count_violations("features", len(features), MAX_FEATURES)
    if violations:
        return violations
    for place, feature in enumerate(features):
        violations += _id_violations(f"features[{place}].name", feature.name)
        if feature.WhichOneof("value") is None:
            violations.append(
                Violation(f"features[{place}]", "has no value, must have number or text")
            )
        violations += finite_violations(f"features[{place}].number", feature.number)
    return violations + repeats_violations("features", [each.name for each in features])


def _event_violations(place: str, event: feedback_pb.Event) -> list[Violation]:
    violations = _id_violations(f"{place}.event_id", event.event_id)
    violations += _id_violations(f"{place}.user_id", event.user_id)
    violations += _id_violations(f"{place}.item_id", event.item_id)
    names = feedback_pb.EventType.items()
    if event.type not in [number for _, number in names if number]:
        allowed = ", ".join(name for name, number in names if number)
        violations.append(Violation(f"{place}.type", f"is {event.type}, must be {allowed}"))
    is_rating = event.type == feedback_pb.EVENT_TYPE_RATING
    if is_rating != event.HasField("rating"):
        told = "is missing, must be given" if is_rating else "is given, must not be"
        known = event.type in feedback_pb.EventType.values()
        kind = f" with {feedback_pb.EventType.Name(event.type)}" if known else ""
        violations.append(Violation(f"{place}.rating", f"{told}{kind}"))
    violations += finite_violations(f"{place}.rating", event.rating)
    if event.HasField("time") and not 0 <= event.time.seconds <= time.time() + _S_PER_DAY:
        violations.append(
            Violation(
                f"{place}.time",
                f"is {event.time.seconds} s in Unix time, must be from 1970 to a day from now",
            )
        )
    return violations


def _given_violations(item_ids: Sequence[str], most: int) -> list[Violation]:
    return count_violations("item_ids", len(item_ids), most, least=1) or [
        violation
        for place, item_id in enumerate(item_ids)
        for violation in _id_violations(f"item_ids[{place}]", item_id)
    ]


def _k_violations(k: int, max_k: int) -> list[Violation]:
    if 0 <= k <= max_k:
        return []
    return [Violation("k", f"is {k}, must be from 1 to {max_k}, or 0 for {min(10, max_k)}")]


def _view_violations(view: int) -> list[Violation]:
    if view in pb.ItemView.values():
        return []
    return [Violation("view", f"is {view}, must be one of {', '.join(pb.ItemView.keys())}")]


def _address_violations(
    request: pb.RecommendRequest | pb.FindSimilarItemsRequest | pb.RankItemsRequest,
) -> list[Violation]:
    violations = _id_violations("model", request.model) if request.model else []
    if request.model_version < 0:
        violations.append(
            Violation("model_version", f"is {request.model_version}, must be 1 or more, or 0")
        )
    label = request.model_label
    if label and label not in ("stable", "canary"):
        told = f"is {label[:_LONGEST_LABEL]!r}, must be stable or canary"
        violations.append(Violation("model_label", told))
    elif label and request.model_version:
        violations.append(
            Violation("model_label", "is given with model_version, must be given alone")
        )
    return violations


def _id_violations(place: str, text: str) -> list[Violation]:
    fault = id_fault(text)
    return [Violation(place, fault)] if fault else []
