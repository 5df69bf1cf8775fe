"""What a server over a `MatrixModel` must answer, worked out item by item in plain Python."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_server.matrix_model import MatrixModel, MatrixRetriever

TOLERANCE = 1e-4


@dataclass(frozen=True)
class Asked:
    """Whom an answer is for, and the scores that the first stage gives for them."""

    scores: np.ndarray
    source: int
    fallback: int = 0
    seen: frozenset[int] = frozenset()
    second: np.ndarray | None = None


class Oracle:
    def __init__(self, model: MatrixModel) -> None:
        self.model = model
        self.retriever = MatrixRetriever(
            model.scores, model.item_item, model.age_scores, model.second, model.candidates
        )
        self.item_count = model.scores.shape[1]

    def row(self, item_id: str) -> int | None:
        number = item_id.removeprefix("i")
        known = item_id.startswith("i") and number.isdecimal() and int(number) < self.item_count
        return int(number) if known else None

    def asked(self, request: pb.RecommendRequest | pb.RankItemsRequest) -> Asked:
        taken = self._history(request.history)
        features = {each.name: each.number for each in request.features}
        moved = self._told(taken, features)
        user = request.user_id.removeprefix("u")
        if request.user_id.startswith("u") and user.isdecimal() and int(user) < len(self.scores):
            row = int(user)
            before = set(self.model.histories[row]) if self.model.histories else set()
            if not taken and not features:
                second = None if self.model.second is None else self.model.second[row]
                own = self.scores[row]
                return Asked(own, pb.RECOMMENDATION_SOURCE_USER_ID, 0, frozenset(before), second)
            trained = dict.fromkeys(before, math.nan)
            shift = self._told({**trained, **taken}, features) - self._told(trained, {})
            source = (
                pb.RECOMMENDATION_SOURCE_USER_ID_AND_HISTORY
                if taken
                else pb.RECOMMENDATION_SOURCE_USER_ID
            )
            return Asked(self.scores[row] + shift, source, 0, frozenset(before | set(taken)))
        if taken:
            return Asked(moved, pb.RECOMMENDATION_SOURCE_HISTORY, 0, frozenset(taken))
        if features:
            return Asked(moved, pb.RECOMMENDATION_SOURCE_FEATURES)
        reason = (
            pb.FALLBACK_REASON_NOTHING_KNOWN
            if len(request.history)
            else pb.FALLBACK_REASON_UNKNOWN_USER
        )
        counts = np.arange(self.item_count, dtype=np.float32)
        return Asked(counts, pb.RECOMMENDATION_SOURCE_POPULARITY, reason)

    @property
    def scores(self) -> np.ndarray:
        return self.model.scores

    def _history(self, history: Sequence[pb.HistoryEntry]) -> dict[int, float]:
        taken: dict[int, float] = {}
        for entry in history:
            row = self.row(entry.item_id)
            if row is not None:
                taken.pop(row, None)
                taken[row] = entry.rating if entry.HasField("rating") else math.nan
        return taken

    def _told(self, taken: Mapping[int, float], features: Mapping[str, float]) -> np.ndarray:
        scores = np.zeros(self.item_count)
        for row, rating in taken.items():
            assert self.model.item_item is not None
            scores += self.model.item_item[row] * (1 if math.isnan(rating) else rating)
        if "age" in features:
            assert self.model.age_scores is not None
            scores += (features["age"] - 30) / 10 * self.model.age_scores
        return scores

    def eligible(self, request: pb.RecommendRequest | pb.FindSimilarItemsRequest) -> set[int]:
        excluded = {self.row(item_id) for item_id in request.excluded_item_ids}
        allowed = {self.row(item_id) for item_id in request.allowed_item_ids}
        return {
            row
            for row in range(self.item_count)
            if row not in excluded
            and (not request.allowed_item_ids or row in allowed)
            and all(self._fulfils(row, each) for each in request.filters)
        }

    def _fulfils(self, row: int, condition: pb.Filter) -> bool:
        value = self.model.attributes[condition.attribute][row]
        kind = condition.WhichOneof("condition")
        if kind == "range":
            least = condition.range.min if condition.range.HasField("min") else -math.inf
            greatest = condition.range.max if condition.range.HasField("max") else math.inf
            return value is not None and least <= value <= greatest
        has = {value} if isinstance(value, str) else set(value or ())
        wanted = set(getattr(condition, kind).values)
        if kind == "none":
            return not has & wanted
        return bool(has & wanted) if kind == "any" else bool(has) and wanted <= has

    def recommended(self, request: pb.RecommendRequest) -> tuple[Asked, list[int], np.ndarray]:
        """Returns who asks, all eligible items in the model's order, and the final scores."""
        asked = self.asked(request)
        eligible = self.eligible(request) - (set() if request.include_seen else asked.seen)
        order = sorted(eligible, key=lambda row: (-asked.scores[row], row))
        if asked.second is None:
            return asked, order, asked.scores
        depth = max(request.k, self.model.candidates)
        if request.HasField("diversity") and self.is_varied(request.diversity):
            depth = max(depth, 200, 5 * request.k)
        final = asked.second
        return asked, sorted(order[:depth], key=lambda row: (-final[row], row)), final

    @staticmethod
    def is_varied(diversity: pb.Diversity) -> bool:
        return weight(diversity) > 0 or len(diversity.caps) > 0

    def check_varied(
        self, diversity: pb.Diversity, order: Sequence[int], scores: np.ndarray, chosen: list[int]
    ) -> None:
        """Follows a list item by item: each must be as good as any that might stand there."""
        of_all = np.array([scores[row] for row in order], np.float64)
        span = of_all.max() - of_all.min() if len(of_all) else 0
        lows = of_all.min() if len(of_all) else 0
        vectors = self.retriever.embed_items(np.arange(self.item_count))
        for place, row in enumerate(chosen):
            left = [each for each in order if each not in chosen[:place]]
            allowed = [
                each for each in left if self._is_below_caps(diversity, each, chosen[:place])
            ]
            assert row in allowed

            def worth(item: int, before: Sequence[int] = chosen[:place]) -> float:
                relevance = (scores[item] - lows) / span if span else 1.0
                nearest = max((float(vectors[item] @ vectors[each]) for each in before), default=0)
                return (1 - weight(diversity)) * relevance - weight(diversity) * nearest

            assert worth(row) >= max(map(worth, allowed)) - TOLERANCE

    def _is_below_caps(self, diversity: pb.Diversity, row: int, before: Sequence[int]) -> bool:
        for cap in diversity.caps:
            mine = self.model.attributes[cap.attribute][row]
            for value in {mine} if isinstance(mine, str) else set(mine or ()):
                others = [self.model.attributes[cap.attribute][each] for each in before]
                count = sum(
                    value == other if isinstance(other, str) else value in (other or ())
                    for other in others
                )
                if count >= cap.max_count:
                    return False
        return True


def weight(diversity: pb.Diversity) -> float:
    """Returns lambda, which is a keyword of Python's."""
    return float(getattr(diversity, "lambda"))
