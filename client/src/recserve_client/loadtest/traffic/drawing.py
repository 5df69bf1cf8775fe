"""Questions drawn from a mix; pure and seeded."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_client._errors import InvalidRequestError
from recserve_client._requests import recommend_request
from recserve_client.loadtest.plan import PlanError, Question

from .mix import Mix

RECOMMEND: Final = "/recserve.v1.RecommendationService/Recommend"
BATCH_RECOMMEND: Final = "/recserve.v1.RecommendationService/BatchRecommend"


@dataclass(frozen=True, slots=True)
class Population:
    """Who may ask, and for what."""

    user_ids: Sequence[str]
    """Users that the model knows."""
    item_ids: Sequence[str]
    """Items for histories and exclusions, most popular first."""


def draw_questions(mix: Mix, population: Population, count: int, seed: int) -> list[Question]:
    """Draws calls.

    Args:
        mix: What is asked.
        population: By whom, and of which items.
        count: How many calls.
        seed: The same seed draws the same calls.

    Raises:
        PlanError: the population lacks what the mix needs.
    """
    if not population.user_ids and mix.unknown_share < 1:
        raise PlanError("there are no known users; give their ids in a file, or only unknown ones")
    if not population.item_ids and (mix.history_share or mix.exclusion_share):
        raise PlanError("there are no items for histories or exclusions; give their ids in a file")
    drawing = _Drawing(mix, population, random.Random(seed))
    try:
        return [drawing.call() for _ in range(count)]
    except InvalidRequestError as error:
        raise PlanError(f"the mix makes a request that cannot be sent: {error}") from error


class _Drawing:
    def __init__(self, mix: Mix, population: Population, draw: random.Random) -> None:
        self._mix, self._draw = mix, draw
        self._items = population.item_ids
        # Who asks most often is nobody in particular: not the first in a file or the lowest number.
        self._users = list(population.user_ids)
        draw.shuffle(self._users)
        self._weights = list(
            accumulate((rank + 1) ** -mix.zipf for rank in range(len(self._users)))
        )
        self._ks = [k for k, _ in mix.ks]
        self._k_weights = [weight for _, weight in mix.ks]

    def call(self) -> Question:
        """Draws one call."""
        if self._draw.random() >= self._mix.batch_share:
            return Question(RECOMMEND, self._request().SerializeToString())
        batch = pb.BatchRecommendRequest(
            requests=[self._request() for _ in range(self._mix.batch_size)]
        )
        return Question(BATCH_RECOMMEND, batch.SerializeToString())

    def _request(self) -> pb.RecommendRequest:
        mix, draw = self._mix, self._draw
        options: dict[str, object] = {"k": draw.choices(self._ks, self._k_weights)[0]}
        if draw.random() < mix.history_share:
            options["history"] = self._some_items(draw.randint(*mix.history_length))
        if draw.random() < mix.exclusion_share:
            options["excluded_item_ids"] = self._some_items(draw.randint(*mix.exclusion_count))
        if draw.random() < mix.filter_share:
            options["filters"] = mix.filters
        return recommend_request(self._user(), options)

    def _user(self) -> str:
        if self._draw.random() < self._mix.unknown_share:
            return f"unknown-{self._draw.getrandbits(40):010x}"
        return self._draw.choices(self._users, cum_weights=self._weights)[0]

    def _some_items(self, count: int) -> list[str]:
        return self._draw.sample(self._items, min(count, len(self._items)))
