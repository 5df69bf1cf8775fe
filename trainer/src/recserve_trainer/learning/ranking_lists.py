"""Lists to learn an order from: what the first stage would have retrieved, had it known less."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.errors import TrainerError
from recserve_trainer.evaluation.metrics import top_k, users_per_chunk
from recserve_trainer.interactions import Dataset, Histories, Interactions
from recserve_trainer.learning.ranking_features import FeatureTables
from recserve_trainer.retrieval import Embeddings


@dataclass(frozen=True, slots=True)
class KnownPart:
    """A first stage that knows a part of the interactions, and its features."""

    embeddings: Embeddings
    tables: FeatureTables


@dataclass(frozen=True, slots=True)
class RankingLists:
    """Candidates of users with which of them were held out, one list a row."""

    user_rows: NDArray[np.int32]
    """[lists]; a user has up to one list per fold."""
    item_rows: NDArray[np.int32]
    """[lists, n], ascending."""
    retrieval_scores: NDArray[np.float32]
    """[lists, n]"""
    features: NDArray[np.float32]
    """[lists, n, features]"""
    labels: NDArray[np.int8]
    """[lists, n]: 1 where the interaction was held out, else 0. One or more in every list."""

    def __len__(self) -> int:
        return len(self.user_rows)

    def take(self, is_taken: NDArray[np.bool_]) -> Self:
        """Returns the lists at which the mask [lists] is true."""
        return type(self)(
            self.user_rows[is_taken],
            self.item_rows[is_taken],
            self.retrieval_scores[is_taken],
            self.features[is_taken],
            self.labels[is_taken],
        )

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """Returns the lists of all parts, which have as many candidates."""
        return cls(
            np.concatenate([part.user_rows for part in parts]),
            np.concatenate([part.item_rows for part in parts]),
            np.concatenate([part.retrieval_scores for part in parts]),
            np.concatenate([part.features for part in parts]),
            np.concatenate([part.labels for part in parts]),
        )


def folds(train: Interactions, count: int, seed: int) -> NDArray[np.intp]:
    """Deals interactions out to folds, each item's as evenly as can be.

    Interactions of the same user and item go to the same fold.

    Returns:
        [interactions], from 0 to count - 1.
    """
    random = np.random.default_rng(seed)
    both = np.stack([train.item_rows, train.user_rows], axis=1)
    pairs, of_pair = np.unique(both, axis=0, return_inverse=True)
    items = pairs[:, 0]
    order = np.lexsort((random.random(len(pairs)), items))
    starts = np.searchsorted(items, items, side="left")
    # Where each item begins is drawn, or rare items would all be held out in the first fold.
    begin = random.integers(0, count, int(items.max(initial=0)) + 1)
    fold_of_pair = np.empty(len(pairs), np.intp)
    fold_of_pair[order] = (np.arange(len(pairs)) - starts + begin[items]) % count
    return fold_of_pair[of_pair.ravel()]


def user_groups(lists: RankingLists, groups: int) -> int:
    """Returns how many groups there can be: beside each, others have lists."""
    while groups > 1:
        present = np.unique(lists.user_rows % groups)
        if len(present) > 1:
            return groups
        groups -= 1
    return 1


def cross_fits(
    lists: RankingLists, groups: int
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Yields for each group of users the masks [lists] of what to learn from, and what to rank.

    A group is ranked by what was learnt from all others; where there is one group, from itself.
    """
    count = user_groups(lists, groups)
    for group in range(count):
        is_mine = lists.user_rows % count == group
        yield ~is_mine if count > 1 else is_mine, is_mine


def build_lists(
    dataset: Dataset,
    train: Interactions,
    fold_of: NDArray[np.intp],
    candidates: int,
    fit_known: Callable[[Interactions], KnownPart],
) -> RankingLists:
    """Holds out one fold after the other and lists what is retrieved from the rest.

    All lists are of one length: `candidates`, or what nine of ten users have left to be found, if
    that is less, as in a catalogue of which users have seen much.

    Raises:
        TrainerError: nothing held out was retrieved for anybody.
    """
    taken = np.diff(Histories.of(len(dataset.users), train).offsets)
    if taken.any():
        unseen = len(dataset.items) - taken[taken > 0]
        candidates = max(2, min(candidates, int(np.quantile(unseen, 0.1))))
    parts: list[RankingLists] = []
    for fold in range(int(fold_of.max(initial=0)) + 1):
        is_held = fold_of == fold
        known, held = train.take(np.flatnonzero(~is_held)), train.take(np.flatnonzero(is_held))
        if len(known) and len(held):
            parts += _lists_of_fold(dataset, known, held, candidates, fit_known(known))
    if not parts:
        raise TrainerError(
            f"there is nothing to learn ranking from: of {len(train)} interactions none that was "
            "held out came back among the candidates; use --model history"
        )
    return RankingLists.joined(parts)


def _lists_of_fold(
    dataset: Dataset,
    known: Interactions,
    held: Interactions,
    candidates: int,
    part: KnownPart,
) -> Iterator[RankingLists]:
    user_count, item_count = len(dataset.users), len(dataset.items)
    seen, wanted = Histories.of(user_count, known), Histories.of(user_count, held)
    users = np.flatnonzero(np.diff(wanted.offsets)).astype(np.int32)
    # All lists are of one length, so users who have seen nearly everything have none.
    unseen = item_count - np.diff(seen.offsets)
    users = users[unseen[users] >= min(candidates, item_count)]
    step = users_per_chunk(item_count)
    for start in range(0, len(users), step):
        chunk = users[start : start + step]
        scores = part.embeddings.score(chunk)
        pairs = seen.pairs(chunk)
        scores[pairs[:, 0], pairs[:, 1]] = -np.inf
        item_rows = np.sort(top_k(scores, candidates), axis=1)
        is_wanted = np.zeros(scores.shape, np.int8)
        pairs = wanted.pairs(chunk)
        is_wanted[pairs[:, 0], pairs[:, 1]] = 1
        labels = np.take_along_axis(is_wanted, item_rows, axis=1)
        lists = RankingLists(
            user_rows=chunk,
            item_rows=item_rows,
            retrieval_scores=np.take_along_axis(scores, item_rows, axis=1),
            features=part.tables.compute(chunk, item_rows),
            labels=labels,
        ).take(np.asarray(labels.any(axis=1)))
        if len(lists):
            yield lists
