"""Golden queries: questions with the trainer's own answers, for a server to ask before it serves.

Answers come from vectors, towers and rankers in NumPy, not from the SavedModel; so they are exact,
whatever the index.
"""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, Self

import numpy as np
from google.protobuf import json_format
from numpy.typing import NDArray

from recserve.artifact.v1 import manifest_pb2
from recserve_trainer.artifact.parity import Ranking
from recserve_trainer.artifact.served import ServedModel
from recserve_trainer.evaluation.metrics import Rankings, Scorer, top_k, users_per_chunk
from recserve_trainer.evaluation.two_stage import model_scorer
from recserve_trainer.features import encode
from recserve_trainer.interactions import Histories
from recserve_trainer.retrieval import Queries, QueryTower, RetrievalModel

GOLDEN: Final = "golden.json"
_USERS: Final = 64
_STRANGERS: Final = 16
_HISTORY: Final = 5
"""Items that a stranger brings, at most."""
_K: Final = 10


@dataclass(frozen=True, slots=True)
class Known:
    """Whom and what a model knows, by row of its tables."""

    user_ids: Sequence[str]
    item_ids: Sequence[str]
    histories: Histories
    """What each user is taken to have seen."""


def write_golden(folder: Path, model: RetrievalModel, known: Known) -> None:
    """Writes golden.json beside the SavedModel of the same model; see `golden_queries`."""
    golden = golden_queries(folder, model, known)
    written = json_format.MessageToDict(golden, preserving_proto_field_name=True)
    (folder / GOLDEN).write_text(json.dumps(written) + "\n", encoding="utf-8")


def golden_queries(folder: Path, model: RetrievalModel, known: Known) -> manifest_pb2.GoldenQueries:
    """Answers for users of the table, and for strangers if there is a query tower.

    They are up to 64 users, spread over the table, and up to 16 strangers, each with the first
    five items, and their ratings, of a user who has any. Half of either may get back what they
    have seen. Who has nothing left to find is passed over.

    Args:
        folder: holds the written SavedModel, whose own answers `overlap` tells of.
        model: gives the answers.
        known: the tables of the model.

    Returns:
        The same for the same model, down to the last digit on the same machine.
    """
    served = ServedModel(folder)
    k, item_count = _length(model), len(known.item_ids)
    golden = manifest_pb2.GoldenQueries()
    overlaps: list[float] = []
    for asked in _all_asked(model, known):
        found = asked.askers.served(served, asked.rows, asked.excluded, k)
        expected = _expected(asked, k, item_count)
        for row, answer, (item_rows, scores) in zip(
            asked.rows.tolist(), found.item_rows, expected, strict=True
        ):
            if not len(item_rows):
                continue
            query = golden.queries.add()
            query.CopyFrom(asked.askers.question(row))
            query.k, query.include_seen = k, asked.include_seen
            query.item_ids.extend(known.item_ids[item] for item in item_rows.tolist())
            query.scores.extend(scores.tolist())
            overlaps.append(float(np.isin(item_rows, answer).mean()))
    golden.overlap = math.fsum(overlaps) / len(overlaps) if overlaps else 1.0
    return golden


def _length(model: RetrievalModel) -> int:
    # For a longer list the written model would rank more candidates than `model_scorer` does.
    ranker = model.stages.ranker
    most = len(model.embeddings.items)
    return min(_K, most, ranker.candidates if ranker else most)


class _Askers(Protocol):
    """Who asks, by rows of their own."""

    def scorer(self, excluded: Histories) -> Scorer:
        """Returns the trainer's scores, of a second stage for what `excluded` leaves."""
        ...

    def served(
        self, model: ServedModel, rows: NDArray[np.int32], excluded: Histories, k: int
    ) -> Rankings:
        """Asks the written model."""
        ...

    def question(self, row: int) -> manifest_pb2.GoldenQuery:
        """Tells who asks."""
        ...


@dataclass(frozen=True, slots=True)
class _Users:
    """Users of the user table."""

    model: RetrievalModel
    ids: Sequence[str]

    def scorer(self, excluded: Histories) -> Scorer:
        return model_scorer(self.model, excluded)

    def served(
        self, model: ServedModel, rows: NDArray[np.int32], excluded: Histories, k: int
    ) -> Rankings:
        return model.by_id(rows, excluded, k=k)

    def question(self, row: int) -> manifest_pb2.GoldenQuery:
        return manifest_pb2.GoldenQuery(user_id=self.ids[row])


@dataclass(frozen=True, slots=True)
class _Strangers:
    """Whoever brings a history; the second stage knows users by id only."""

    scores: Scorer
    queries: Callable[[NDArray[np.int32]], Queries]
    histories: Histories
    item_ids: Sequence[str]

    @classmethod
    def of(cls, tower: QueryTower, items: NDArray[np.float32], known: Known) -> Self:
        """Takes first items of some users, and the item vectors, float32 [items, length]."""
        histories = _first_items(known.histories)

        def queries(rows: NDArray[np.int32]) -> Queries:
            return Queries(*histories.rated_pairs(rows), encode(tower.features, {}, len(rows)))

        # All at once: an oracle may have to convert a matrix of the catalogue's size each time.
        vectors = tower.oracle(queries(np.arange(len(histories), dtype=np.int32)))
        return cls(lambda rows: vectors[rows] @ items.T, queries, histories, known.item_ids)

    def scorer(self, excluded: Histories) -> Scorer:
        del excluded
        return self.scores

    def served(
        self, model: ServedModel, rows: NDArray[np.int32], excluded: Histories, k: int
    ) -> Rankings:
        return model.by_query(rows, self.queries, excluded, k=k)

    def question(self, row: int) -> manifest_pb2.GoldenQuery:
        history, ratings = self.histories.rated_pairs(np.array([row]))
        return manifest_pb2.GoldenQuery(
            history=[
                manifest_pb2.GoldenHistoryEntry(
                    item_id=self.item_ids[item], rating=None if math.isnan(rating) else rating
                )
                for item, rating in zip(history[:, 1].tolist(), ratings.tolist(), strict=True)
            ]
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """Questions that agree on whether what was seen may come back."""

    askers: _Askers
    rows: NDArray[np.int32]
    excluded: Histories
    include_seen: bool


def _all_asked(model: RetrievalModel, known: Known) -> Iterator[_Asked]:
    everybody = np.arange(len(known.user_ids), dtype=np.int32)
    yield from _halves(_Users(model, known.user_ids), _spread(everybody, _USERS), known.histories)
    tower = model.stages.query_tower
    if tower is not None:
        strangers = _Strangers.of(tower, model.embeddings.items, known)
        all_rows = np.arange(len(strangers.histories), dtype=np.int32)
        yield from _halves(strangers, all_rows, strangers.histories)


def _halves(askers: _Askers, rows: NDArray[np.int32], seen: Histories) -> Iterator[_Asked]:
    nothing = Histories(np.zeros(len(seen) + 1, np.int64), np.empty(0, np.int32))
    for place, excluded in enumerate((seen, nothing)):
        half = rows[place::2]
        if len(half):
            yield _Asked(askers, half, excluded, include_seen=bool(place))


def _first_items(histories: Histories) -> Histories:
    """Returns the first items of some users who have any."""
    sizes = np.diff(histories.offsets)
    rows = _spread(np.flatnonzero(sizes).astype(np.int32), _STRANGERS)
    pairs, ratings = histories.rated_pairs(rows)
    starts = np.cumsum(sizes[rows]) - sizes[rows]
    is_first = np.arange(len(pairs)) - starts[pairs[:, 0]] < _HISTORY
    offsets = np.concatenate([[0], np.cumsum(np.minimum(sizes[rows], _HISTORY))])
    return Histories(offsets.astype(np.int64), pairs[is_first, 1], ratings[is_first])


def _spread(rows: NDArray[np.int32], most: int) -> NDArray[np.int32]:
    places = np.linspace(0, len(rows) - 1, min(most, len(rows)))
    return rows[places.astype(np.intp)]


def _expected(asked: _Asked, k: int, item_count: int) -> Iterator[Ranking]:
    scorer, step = asked.askers.scorer(asked.excluded), users_per_chunk(item_count)
    for start in range(0, len(asked.rows), step):
        chunk = asked.rows[start : start + step]
        scores = np.array(scorer(chunk), np.float32)
        pairs = asked.excluded.pairs(chunk)
        scores[pairs[:, 0], pairs[:, 1]] = -np.inf
        for of_user, ranked in zip(scores, top_k(scores, k), strict=True):
            item_rows = ranked[ranked >= 0]
            yield item_rows, of_user[item_rows]
