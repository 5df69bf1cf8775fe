"""What a model is asked under each protocol, and what counts as right; pure.

Known users are asked for by id. New users are held out of training whole and asked for by what
they took first; new items are held out whole, so that only their attributes are known.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.errors import DatasetError
from recserve_trainer.evaluation.metrics import Excluded
from recserve_trainer.evaluation.neighbours import taken
from recserve_trainer.evaluation.protocols import stratified_split, time_split
from recserve_trainer.evaluation.split import Split
from recserve_trainer.interactions import Dataset, Histories, Interactions

HISTORY_LENGTHS: Final = (10, 3, 1)
"""Interactions that are known of a new user, the most first."""
NEW_USER_SHARE: Final = 0.2
NEW_ITEM_SHARE: Final = 0.1
FEWEST_OF_NEW_ITEM: Final = 10
"""Interactions of an item that may be held out: with fewer there is little to be right about."""


@dataclass(frozen=True, slots=True)
class Task:
    """One ranking for each of some users."""

    name: str
    user_rows: NDArray[np.int32]
    """[users] to rank for, ascending; each has something relevant."""
    relevant: Histories
    """What each user of the dataset took in the test part."""
    excluded: Excluded
    """What must not be recommended."""
    known: Interactions
    """What these users are known by: training interactions, or what comes with the query."""
    by_history: bool = False
    """Whether they are new: the model is given `known` and their profile, no id."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """A split and what is asked of a model that has learnt from its training part."""

    name: str
    split: Split
    tasks: tuple[Task, ...]
    """The principal one first."""


@dataclass(frozen=True, slots=True)
class OnlyCandidates:
    """Excludes what each user has taken, and all that is no candidate."""

    seen: Histories
    is_candidate: NDArray[np.bool_]
    """[items]."""

    def pairs(self, user_rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """Returns int32 [n, 2]: (position in `user_rows`, item row), each pair once."""
        is_seen = taken(self.seen, user_rows, len(self.is_candidate)) > 0
        return np.argwhere(is_seen | ~self.is_candidate).astype(np.int32)


def _known_users(name: str, dataset: Dataset, split: Split) -> Protocol:
    relevant = Histories.of(len(dataset.users), split.test)
    seen = Histories.of(len(dataset.users), split.train)
    task = Task("known users", _with_any(relevant), relevant, seen, split.train)
    return Protocol(name, split, (task,))


def _new_users(dataset: Dataset, seed: int) -> Protocol:
    """Holds out users whole; what they took after their first ten interactions is relevant.

    It is so for each length of history, and none of the ten is recommended, so that lengths differ
    in what is known and in nothing else.
    """
    taken_by, user_count = dataset.interactions, len(dataset.users)
    is_new = _new_user_mask(dataset, seed)
    of_new = is_new[taken_by.user_rows]
    place = _place_in_time(taken_by)
    most = max(HISTORY_LENGTHS)
    split = Split(
        train=taken_by.take(np.flatnonzero(~of_new)),
        validation=taken_by.take(np.empty(0, np.intp)),
        test=taken_by.take(np.flatnonzero(of_new & (place >= most))),
        description=(
            f"new users, seed {seed}: {is_new.sum()} users with more than {most} interactions are "
            f"not trained on; their first {most} make queries, the later ones test"
        ),
    )
    relevant = Histories.of(user_count, split.test)
    excluded = Histories.of(user_count, taken_by.take(np.flatnonzero(of_new & (place < most))))
    tasks = tuple(
        Task(
            name=f"new users by {length} interaction{'s' if length > 1 else ''}",
            user_rows=_with_any(relevant),
            relevant=relevant,
            excluded=excluded,
            known=taken_by.take(np.flatnonzero(of_new & (place < length))),
            by_history=True,
        )
        for length in HISTORY_LENGTHS
    )
    return Protocol("new-users", split, tasks)


def _new_items(dataset: Dataset, seed: int) -> Protocol:
    """Holds out items whole; known users have to find those among them that they took."""
    taken_by, user_count = dataset.interactions, len(dataset.users)
    is_new = _new_item_mask(dataset, seed)
    of_new = is_new[taken_by.item_rows]
    train = taken_by.take(np.flatnonzero(~of_new))
    is_known = np.isin(taken_by.user_rows, train.user_rows)
    split = Split(
        train=train,
        validation=taken_by.take(np.empty(0, np.intp)),
        test=taken_by.take(np.flatnonzero(of_new & is_known)),
        description=(
            f"new items, seed {seed}: {is_new.sum()} items with {FEWEST_OF_NEW_ITEM} interactions "
            "or more are not trained on; what known users took of them tests"
        ),
    )
    relevant = Histories.of(user_count, split.test)
    seen = Histories.of(user_count, split.train)
    users = _with_any(relevant)
    tasks = (
        Task(
            "new items among themselves", users, relevant, OnlyCandidates(seen, is_new), split.train
        ),
        Task("new items in the whole catalogue", users, relevant, seen, split.train),
    )
    return Protocol("new-items", split, tasks)


def _new_both(dataset: Dataset, seed: int) -> Protocol:
    """Holds out users and items; new users have to find the new items that they took."""
    taken_by, user_count = dataset.interactions, len(dataset.users)
    is_new_item = _new_item_mask(dataset, seed)
    of_new_user = _new_user_mask(dataset, seed)[taken_by.user_rows]
    of_new_item = is_new_item[taken_by.item_rows]
    history = taken_by.take(np.flatnonzero(of_new_user & ~of_new_item))
    history = history.take(np.flatnonzero(_place_in_time(history) < max(HISTORY_LENGTHS)))
    of_known = np.isin(taken_by.user_rows, history.user_rows)
    split = Split(
        train=taken_by.take(np.flatnonzero(~of_new_user & ~of_new_item)),
        validation=taken_by.take(np.empty(0, np.intp)),
        test=taken_by.take(np.flatnonzero(of_known & of_new_item)),
        description=(
            f"new users and new items, seed {seed}: neither is trained on; new users' first "
            f"{max(HISTORY_LENGTHS)} interactions with other items make queries, what they took of "
            "the new items tests"
        ),
    )
    relevant, seen = Histories.of(user_count, split.test), Histories.of(user_count, history)
    users = _with_any(relevant)
    among = OnlyCandidates(seen, is_new_item)
    tasks = (
        Task("new users, new items among themselves", users, relevant, among, history, True),
        Task("new users, new items in the whole catalogue", users, relevant, seen, history, True),
    )
    return Protocol("new-both", split, tasks)


PROTOCOLS: Final[dict[str, Callable[[Dataset, int], Protocol]]] = {
    "item": lambda dataset, seed: _known_users(
        "item", dataset, stratified_split(dataset.interactions, "item", seed=seed)
    ),
    "user": lambda dataset, seed: _known_users(
        "user", dataset, stratified_split(dataset.interactions, "user", seed=seed)
    ),
    "time": lambda dataset, seed: _known_users("time", dataset, time_split(dataset.interactions)),
    "new-users": _new_users,
    "new-items": _new_items,
    "new-both": _new_both,
}
"""By name: what makes a protocol of a dataset and a seed. Raises DatasetError where a part would be
empty."""


def _with_any(relevant: Histories) -> NDArray[np.int32]:
    users = np.flatnonzero(np.diff(relevant.offsets)).astype(np.int32)
    if not len(users):
        raise DatasetError("no user is left with anything to find; give more interactions")
    return users


def _new_user_mask(dataset: Dataset, seed: int) -> NDArray[np.bool_]:
    counts = np.bincount(dataset.interactions.user_rows, minlength=len(dataset.users))
    return _drawn(counts > max(HISTORY_LENGTHS), NEW_USER_SHARE, [seed, 0])


def _new_item_mask(dataset: Dataset, seed: int) -> NDArray[np.bool_]:
    counts = np.bincount(dataset.interactions.item_rows, minlength=len(dataset.items))
    return _drawn(counts >= FEWEST_OF_NEW_ITEM, NEW_ITEM_SHARE, [seed, 1])


def _drawn(is_eligible: NDArray[np.bool_], share: float, seed: list[int]) -> NDArray[np.bool_]:
    """Returns a mask of a share of those eligible, at least one."""
    eligible = np.flatnonzero(is_eligible)
    if not len(eligible):
        raise DatasetError("nobody and nothing has enough interactions to be held out; give more")
    drawn = np.random.default_rng(seed).permutation(eligible)
    mask = np.zeros(len(is_eligible), dtype=bool)
    mask[drawn[: max(1, round(share * len(eligible)))]] = True
    return mask


def _place_in_time(interactions: Interactions) -> NDArray[np.intp]:
    """Returns [n]: how many of the user's interactions came before, equal times by item row."""
    order = np.lexsort((interactions.item_rows, interactions.timestamps, interactions.user_rows))
    users = interactions.user_rows[order]
    place = np.empty(len(users), np.intp)
    place[order] = np.arange(len(users)) - np.searchsorted(users, users, side="left")
    return place
