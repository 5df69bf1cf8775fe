"""What passes between a request and a model; the seams that tests and engines share."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Query:
    """One validated question."""

    user_id: str
    k: int
    """Items wanted, 1 or more."""
    include_seen: bool = False
    """Whether the user's training history may come back."""


class Source(Enum):
    """What a ranking was made from."""

    USER_ID = "user_id"
    POPULARITY = "popularity"


@dataclass(frozen=True, slots=True)
class Ranking:
    """One answer; the three sequences are of one length, best item first."""

    item_ids: Sequence[str]
    titles: Sequence[str]
    scores: Sequence[float]
    source: Source
    model_name: str
    model_version: int


class Retriever(Protocol):
    """The numeric heart of a model: users and catalogue as rows of its tables."""

    def retrieve(
        self, user_rows: NDArray[np.int32], k: int, excluded: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Ranks the catalogue for each user.

        Args:
            user_rows: int32 [batch].
            k: 1 <= k <= number of items.
            excluded: int32 [n, 2], pairs (position in the batch, item row).

        Returns:
            Item rows, int32 [batch, k], and scores, float32 [batch, k], each row descending,
            equal scores by ascending item row; an excluded item has the score -inf.
        """
        ...


class Ranker(Protocol):
    """A whole model: answers questions, several at a time."""

    def rank(self, queries: Sequence[Query]) -> Sequence[Ranking]:
        """Returns one ranking per query, in order. May block; is called by one thread at a time."""
        ...
