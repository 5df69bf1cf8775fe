"""Which items may come back, and how varied they are; pure."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Final

from recserve.v1 import recommendation_service_pb2 as pb

from ._catalogue import Catalogue
from ._item import Item
from ._selection_checks import Selecting
from ._telling import Ranked

_FEWEST_CANDIDATES: Final = 200

_HOLDS: Final[Mapping[str, Callable[[frozenset[str], frozenset[str]], bool]]] = {
    "any": lambda has, wanted: bool(has & wanted),
    "all": lambda has, wanted: has >= wanted,
    "none": lambda has, wanted: not has & wanted,
}


def eligible(request: Selecting, catalogue: Catalogue, seen: Collection[str]) -> list[str]:
    """Returns the items that may come back to a valid request, in the catalogue's order."""
    excluded = {*request.excluded_item_ids, *seen}
    allowed = set(request.allowed_item_ids)
    return [
        item_id
        for item_id, item in catalogue.items.items()
        if item_id not in excluded
        and (not allowed or item_id in allowed)
        and all(_fulfils(item, condition) for condition in request.filters)
    ]


def unknown_excluded_count(request: Selecting, catalogue: Catalogue) -> int:
    """Counts the excluded items that there are not."""
    return sum(item_id not in catalogue.items for item_id in request.excluded_item_ids)


def varied(ranked: Ranked, diversity: pb.Diversity, k: int, catalogue: Catalogue) -> Ranked:
    """Returns up to k items by maximal marginal relevance, within the limits of `caps`."""
    weight = getattr(diversity, "lambda")
    if not (weight or diversity.caps):
        return ranked[:k]
    left = list(ranked) if diversity.caps else list(ranked[: max(_FEWEST_CANDIDATES, 5 * k)])
    relevance = _relevance(left)
    nearest = dict.fromkeys(relevance, 0.0)
    counts: Counter[tuple[str, str]] = Counter()
    chosen: list[tuple[str, float]] = []
    while left and len(chosen) < k:
        best = max(
            left, key=lambda pair: (1 - weight) * relevance[pair[0]] - weight * nearest[pair[0]]
        )
        left.remove(best)
        texts = [(each, _capped_texts(catalogue.items[best[0]], each)) for each in diversity.caps]
        if any(counts[key] >= cap.max_count for cap, keys in texts for key in keys):
            continue
        counts.update(key for _, keys in texts for key in keys)
        chosen.append(best)
        for item_id, _ in left:
            nearest[item_id] = max(nearest[item_id], catalogue.similarity(item_id, best[0]))
    return chosen


def _relevance(ranked: Ranked) -> dict[str, float]:
    """Scales scores so that they span 0 to 1; all are 1 if they are equal."""
    if not ranked:
        return {}
    highest, lowest = ranked[0][1], ranked[-1][1]
    span = highest - lowest
    return {item_id: (score - lowest) / span if span else 1.0 for item_id, score in ranked}


def _capped_texts(item: Item, cap: pb.AttributeCap) -> list[tuple[str, str]]:
    value = item.attributes.get(cap.attribute, ())
    return [(cap.attribute, text) for text in value] if isinstance(value, tuple) else []


def _fulfils(item: Item, condition: pb.Filter) -> bool:
    value = item.attributes.get(condition.attribute, ())
    kind = condition.WhichOneof("condition")
    if kind is None or kind == "range":
        numbers = condition.range
        least = numbers.min if numbers.HasField("min") else -math.inf
        greatest = numbers.max if numbers.HasField("max") else math.inf
        return isinstance(value, float) and least <= value <= greatest
    wanted = frozenset(getattr(condition, kind).values)
    return isinstance(value, tuple) and _HOLDS[kind](frozenset(value), wanted)
