"""What passes between a question and a model; the seams that tests and engines share."""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from recserve_server.batching.runner import BatchRunner
from recserve_server.query import Query, Question, Schema
from recserve_server.stats import AnswerStats


class Source(IntEnum):
    """What a ranking was made from; numbered as in `recserve.v1.RecommendationSource`."""

    USER_ID = 1
    HISTORY = 2
    FEATURES = 3
    POPULARITY = 4
    USER_ID_AND_HISTORY = 5


class Fallback(IntEnum):
    """Why a ranking is not personal; numbered as in `recserve.v1.FallbackReason`."""

    UNKNOWN_USER = 1
    NOTHING_KNOWN = 2
    NO_QUERY_TOWER = 3


@dataclass(frozen=True, slots=True)
class Why:
    """Why an item is in a ranking."""

    contributions: tuple[tuple[int, float], ...] = ()
    """Item rows of the history and what each adds to the score, most first."""
    is_exact: bool = False
    shared: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Attributes and the values that the item shares with those of the history."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What is told of a ranking besides, if it was asked for."""

    unknown_excluded: int = 0
    unknown_history: int = 0
    unknown_item_ids: tuple[str, ...] = ()
    """Given items that the model does not know."""
    is_degraded: bool = False
    is_full: bool = False
    """Whether attributes are told."""
    percentiles: NDArray[np.float32] | None = None
    """float32 [n], from 0 to 100, beside the items."""
    whys: tuple[Why, ...] | None = None
    """Beside the items."""


class Ranking(NamedTuple):
    """One answer, best item first; a tuple, since one is made for every question."""

    item_rows: NDArray[np.int32]
    """int32 [n], rows of the item table, each at most once."""
    scores: NDArray[np.float32]
    """float32 [n], descending unless the ranking was made more varied."""
    source: Source
    fallback: Fallback | None = None
    is_short: bool = False
    """Whether there are fewer items than were asked for."""
    retrieval_scores: NDArray[np.float32] | None = None
    """float32 [n], the first stage's scores if `scores` are the second's."""
    extras: Extras | None = None

    def at(self, places: NDArray[np.intp], k: int) -> "Ranking":
        """Returns the items at some places, in that order, k having been asked for."""
        first = self.retrieval_scores
        return self._replace(
            item_rows=self.item_rows[places],
            scores=self.scores[places],
            is_short=len(places) < k,
            retrieval_scores=None if first is None else first[places],
        )

    def first(self, k: int) -> "Ranking":
        """Returns the first k items, all if there are fewer."""
        return self.at(np.arange(min(k, len(self.item_rows))), k)


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Items like given ones, most similar first."""

    item_rows: NDArray[np.int32]
    """int32 [n], rows of the item table, each at most once."""
    scores: NDArray[np.float32]
    """float32 [n], mean similarities, descending."""
    is_short: bool
    """Whether there are fewer items than were asked for."""
    extras: Extras


class Found(NamedTuple):
    """What a search of the catalogue gives, in order."""

    item_rows: NDArray[np.int32]
    """int32 [batch, k]."""
    scores: NDArray[np.float32]
    """float32 [batch, k], each row descending, equal scores by ascending item row; what is not
    eligible has the score -inf and stands behind all others."""
    retrieval_scores: NDArray[np.float32] | None = None
    """float32 [batch, k], the first stage's scores if `scores` are the second's."""


class Strangers(NamedTuple):
    """A batch of users as the query tower takes them."""

    history: NDArray[np.int32]
    """int32 [n, 2], pairs (position in the batch, item row), each once."""
    ratings: NDArray[np.float32]
    """float32 [n], beside `history`; NaN if there is none."""
    features: NDArray[np.float32]
    """float32 [batch, width]."""


class Restriction(NamedTuple):
    """Which items may not be found, for each query of a batch."""

    excluded: NDArray[np.int32]
    """int32 [n, 2], pairs (position in the batch, item row)."""
    mask_of: NDArray[np.int32]
    """int32 [batch], rows of `masks`."""
    masks: NDArray[np.bool_]
    """bool [m, items]: which items are eligible; [0, items] if all are for every query."""


class Retriever(Protocol):
    """Ranks the catalogue for users of the user table."""

    def retrieve(self, user_rows: NDArray[np.int32], k: int, excluded: NDArray[np.int32]) -> Found:
        """Ranks the catalogue for each user, by both stages if there are two.

        Args:
            user_rows: int32 [batch].
            k: 1 <= k <= number of items.
            excluded: int32 [n, 2], pairs (position in the batch, item row).
        """
        ...


class ServedModel(Retriever, Protocol):
    """The numeric heart of a model, by rows of its tables; docs/artifact.md, "Signatures"."""

    @property
    def abilities(self) -> frozenset[str]:
        """Names of the signatures that the artifact has.

        `retrieve` can always be called, any other method if its signature is there.
        """
        ...

    def embed_users(self, user_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Returns query vectors, float32 [batch, length]."""
        ...

    def embed_queries(self, strangers: Strangers) -> NDArray[np.float32]:
        """Returns query vectors, float32 [batch, length]."""
        ...

    def search(self, queries: NDArray[np.float32], k: int, restriction: Restriction) -> Found:
        """Ranks the catalogue by the first stage; needs `search_eligible` if there are masks."""
        ...

    def score_items(
        self, queries: NDArray[np.float32], item_rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Returns the first stage's scores of items, float32 [batch, n], given as [batch, n]."""
        ...

    def rank(
        self, user_rows: NDArray[np.int32], item_rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Returns the second stage's scores of items, float32 [batch, n], given as [batch, n]."""
        ...

    def embed_items(self, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Returns float32 [n, length]: unit vectors whose inner product is the similarity."""
        ...

    def search_similar(
        self, queries: NDArray[np.float32], k: int, restriction: Restriction
    ) -> Found:
        """Ranks the catalogue by similarity to vectors of `embed_items`, or means of such."""
        ...

    def explain(
        self, strangers: Strangers, item_rows: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Tells what the entries of histories add to scores.

        Args:
            strangers: n entries of histories, of a batch of users.
            item_rows: int32 [batch, m], the items in question.

        Returns:
            float32 [n, m], what each entry adds to the m items of its user, and float32 [batch, m],
            the rest of the score.
        """
        ...


@dataclass(frozen=True, slots=True)
class Replayed:
    """Golden queries with what a version answered."""

    questions: tuple[Query, ...] = ()
    answered: tuple[tuple[str, ...], ...] = ()
    """Item ids, beside the questions."""
    overlap: float | None = None
    """Mean share of the expected items that came back; None if nothing was asked."""
    expected_overlap: float = 1.0
    """The same when it was exported."""


class ModelRunner(BatchRunner[Question, bytes], Protocol):
    """A loaded model: takes questions, gives encoded responses of recserve.v1."""

    @property
    def stats(self) -> AnswerStats:
        """What its calls and answers were like."""
        ...

    @property
    def schema(self) -> Schema:
        """What questions may name."""
        ...

    @property
    def replayed(self) -> Replayed:
        """What it answered to its golden queries."""
        ...

    @property
    def process_id(self) -> int:
        """The process in which the model lives."""
        ...

    def kill(self) -> None:
        """Ends it, if it can be ended, whatever it does."""
        ...

    async def wait_until_gone(self) -> int:
        """Returns an exit code once it can run no more batches; most never return."""
        ...
