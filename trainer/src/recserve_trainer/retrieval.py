"""What every family comes to: vectors, and whatever else a request may be answered by."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.features import Feature


@dataclass(frozen=True, slots=True)
class Embeddings:
    """A trained retrieval model: score = user . item."""

    users: NDArray[np.float32]
    """[users, length], one row per user of the dataset."""
    items: NDArray[np.float32]
    """[items, length], one row per item of the catalogue."""

    def score(self, user_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Returns float32 [len(user_rows), items]."""
        return self.users[user_rows] @ self.items.T


@dataclass(frozen=True, slots=True)
class Queries:
    """What a batch of requests brings instead of user ids."""

    history: NDArray[np.int32]
    """[n, 2], pairs (position in the batch, item row), each pair once."""
    ratings: NDArray[np.float32]
    """[n], beside `history`; NaN where there is none."""
    features: NDArray[np.float32]
    """[batch, width], as `features.encode` makes them of the tower's features; NaN-free. A row of
    zeros for a user of whom nothing is known."""


class QueryTower(Protocol):
    """From histories and features to query vectors; a `tf.Module`, saved with the index."""

    features: Sequence[Feature]
    """What the columns of `Queries.features` stand for; may be empty."""

    def embed(self, history: Any, ratings: Any, features: Any) -> Any:
        """Embeds tensors of the shapes of `Queries` inside a graph: float32 [batch, length]."""
        ...

    def contributions(
        self, history: Any, ratings: Any, features: Any, item_vectors: Any
    ) -> tuple[Any, Any]:
        """Tells inside a graph what every entry of the histories adds to scores.

        Args:
            history: as of `embed`, and so are `ratings` and `features`.
            ratings: see there.
            features: see there.
            item_vectors: float32 [batch, m, length], of the items asked about at each position.

        Returns:
            Contributions, float32 [n, m], to the m scores of an entry's position; and the base,
            float32 [batch, m], which depends on no single entry. A position's contributions in sum,
            plus its base, are the inner products of the query of `embed` and the items.
        """
        ...

    def oracle(self, queries: Queries) -> NDArray[np.float32]:
        """Embeds the same by another way, in NumPy where it can be, to hold `embed` against."""
        ...


class ItemTower(Protocol):
    """From attributes to vectors of items that training never saw; a `tf.Module`, saved too."""

    features: Sequence[Feature]
    """What the columns of the encoded attributes stand for."""

    def embed(self, features: Any) -> Any:
        """Embeds float32 [n, width] inside a graph: float32 [n, length]."""
        ...

    def oracle(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embeds the same in NumPy, to hold `embed` against."""
        ...


class Ranker(Protocol):
    """The second stage: scores retrieved candidates anew; a `tf.Module`, saved with the index."""

    candidates: int
    """How many items the first stage is asked for, at least."""

    def rank(self, user_rows: Any, item_rows: Any, retrieval_scores: Any) -> Any:
        """Scores candidates inside a graph.

        Args:
            user_rows: int32 [batch].
            item_rows: int32 [batch, n], distinct within a row.
            retrieval_scores: float32 [batch, n], -inf where an item is no candidate.

        Returns:
            float32 [batch, n]; any number where an item is no candidate.
        """
        ...

    def oracle(
        self,
        user_rows: NDArray[np.int32],
        item_rows: NDArray[np.int32],
        retrieval_scores: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Scores the same in NumPy, to hold `rank` against."""
        ...


@dataclass(frozen=True, slots=True)
class Stages:
    """What a model has beside a vector per user and item."""

    query_tower: QueryTower | None = None
    """For users by history or features; None where only known ids can be asked for."""
    ranker: Ranker | None = None
    """Second stage of `recommend`."""
    item_tower: ItemTower | None = None
    """For items that are added later; None where items are known by id only."""


@dataclass(frozen=True, slots=True)
class RetrievalModel:
    """Everything that is served of a fitted model."""

    embeddings: Embeddings
    stages: Stages = field(default_factory=Stages)
