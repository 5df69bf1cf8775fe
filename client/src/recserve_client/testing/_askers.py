"""Who asks, and how much they would like each item; pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from recserve.v1 import recommendation_service_pb2 as pb

from ._catalogue import Catalogue, noise
from ._checks import Asking
from ._knowledge import Knowledge
from ._refusals import not_personal

_PREFIX: Final = "FALLBACK_REASON_"


@dataclass(frozen=True)
class Asker:
    """Whom an answer is for, as far as the fake server knows."""

    catalogue: Catalogue
    user_id: str
    is_known: bool
    """Whether there is a user of this id."""
    trained: tuple[str, ...]
    """Items that the user took, as the fake server was told at its birth."""
    fresh: tuple[str, ...]
    """The same of the request and of recorded events."""
    seen: frozenset[str]
    """Items that do not come back."""
    features: tuple[str, ...]
    """Names and values, as in "age=25.0"."""
    exact_list: tuple[str, ...] | None
    """What is to be recommended, if a test told."""
    unknown_history_count: int

    @property
    def source(self) -> pb.RecommendationSource.ValueType:
        """What the ranking is made from."""
        if self.is_known:
            return (
                pb.RECOMMENDATION_SOURCE_USER_ID_AND_HISTORY
                if self.fresh
                else pb.RECOMMENDATION_SOURCE_USER_ID
            )
        if self.fresh:
            return pb.RECOMMENDATION_SOURCE_HISTORY
        if self.features:
            return pb.RECOMMENDATION_SOURCE_FEATURES
        return pb.RECOMMENDATION_SOURCE_POPULARITY

    @property
    def fallback_reason(self) -> pb.FallbackReason.ValueType:
        """Why the ranking is not personal."""
        if self.is_personal:
            return pb.FALLBACK_REASON_UNSPECIFIED
        if self.unknown_history_count:
            return pb.FALLBACK_REASON_NOTHING_KNOWN
        return pb.FALLBACK_REASON_UNKNOWN_USER

    @property
    def is_personal(self) -> bool:
        """Whether anything is known of who asks."""
        return bool(self.is_known or self.fresh or self.features)

    @cached_property
    def told(self) -> tuple[str, ...]:
        """All items that the asker took."""
        return tuple(dict.fromkeys(self.trained + self.fresh))

    def score(self, item_id: str) -> float:
        """Returns the asker's score: from 0 to 1, or a count of users if it is not personal."""
        if not self.is_personal:
            return self.catalogue.counts[item_id]
        if self.exact_list is not None:
            return self._exact_score(self.exact_list, item_id)
        parts = []
        if self.is_known:
            parts.append(noise("user", self.user_id, item_id))
        if self.fresh:
            parts.append(self._influence(self.fresh, item_id))
        if self.features:
            parts.append(noise("features", *self.features, item_id))
        return sum(parts) / len(parts)

    def contribution(self, taken: str, item_id: str) -> float:
        """Returns what one of the items told adds to the score of an item.

        Those of a stranger add up to the score, but for what features add; of a known user they
        are only told.
        """
        share = len(self.told) * (1 if self.is_known or not self.features else 2)
        return self.catalogue.influence(taken, item_id) / share

    def in_order(self, item_ids: Iterable[str]) -> list[tuple[str, float]]:
        """Returns items with their scores, best first, equal ones in the order given."""
        scored = [(item_id, self.score(item_id)) for item_id in item_ids]
        return sorted(scored, key=lambda pair: -pair[1])

    def _influence(self, taken: tuple[str, ...], item_id: str) -> float:
        return sum(self.catalogue.influence(each, item_id) for each in taken) / len(taken)

    def _exact_score(self, exact_list: tuple[str, ...], item_id: str) -> float:
        if item_id in exact_list:
            return 1 - exact_list.index(item_id) / (2 * len(exact_list))
        return noise("user", self.user_id, item_id) / 2


def asker_of(request: Asking, knowledge: Knowledge) -> Asker:
    """Finds what is known of who asks a valid request.

    Raises:
        RefusedError: nothing, and the caller is strict.
    """
    catalogue, user_id = knowledge.catalogue, request.user_id
    trained = catalogue.histories.get(user_id, ())
    taken = dict.fromkeys([*knowledge.taken(user_id), *(e.item_id for e in request.history)])
    fresh = tuple(item_id for item_id in taken if item_id in catalogue.items)
    asker = Asker(
        catalogue,
        user_id,
        is_known=user_id in catalogue.histories or user_id in knowledge.exact_lists,
        trained=trained,
        fresh=fresh,
        seen=frozenset([*trained, *fresh, *knowledge.seen(user_id)]),
        features=tuple(sorted(map(_feature, request.features))),
        exact_list=knowledge.exact_lists.get(user_id),
        unknown_history_count=len(taken) - len(fresh),
    )
    if request.strict and not asker.is_personal:
        name = pb.FallbackReason.Name(asker.fallback_reason)
        raise not_personal(name.removeprefix(_PREFIX))
    return asker


def _feature(feature: pb.UserFeature) -> str:
    value = feature.number if feature.WhichOneof("value") == "number" else feature.text
    return f"{feature.name}={value!r}"
