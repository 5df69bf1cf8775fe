"""Measures a model beside its baselines, for the manifest and the card; NumPy alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.artifact.model_card import (
    MODEL,
    Activity,
    Difference,
    Estimate,
    Estimates,
    Result,
)
from recserve_trainer.evaluation.baselines import BASELINES, item_counts
from recserve_trainer.evaluation.beyond_accuracy import Catalogue, beyond_accuracy, by_activity
from recserve_trainer.evaluation.bootstrap import Interval, difference_interval, mean_interval
from recserve_trainer.evaluation.metrics import (
    RankingMetrics,
    Rankings,
    Scorer,
    UserMetrics,
    rank,
    score_rankings,
)
from recserve_trainer.evaluation.precision_recall import precision_recall
from recserve_trainer.evaluation.split import Split
from recserve_trainer.interactions import Dataset, Histories, Interactions

K: Final = 10
LONGEST: Final = 50
"""Items in the longest lists of the precision-recall curve."""
_EASE_ITEMS: Final = 5_000
_EASE_ENTRIES: Final = 10**8
_SEED: Final = 0
_DRAWS: Final = 2_000
_FEWEST_DRAWS: Final = 200
_DRAWN_USERS: Final = 5 * 10**7

_WHOLE_NAMES: Final = {"popularity": "item_popularity"}
"""There is a scorer called popularity."""

TimeOrder = Literal["global", "per user", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the test was like; the card's known limits follow from it."""

    time_order: TimeOrder
    """`global`: nothing trained on is newer than what is tested on; `per user`: within each user;
    `none`: a user's future helps to tell its past."""
    user_count: int
    test_count: int
    new_user_count: int
    """Users without any interaction before the test."""
    new_item_count: int
    """Items without training interactions."""
    new_item_test_count: int
    """Test interactions with such items."""
    new_items_found: int
    """How many of them the model put into anybody's list of 50."""
    low_rating_share: float
    """Share of test interactions with a rating in the lower half of the scale; 0 if all are the
    same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What came of a test."""

    metrics: dict[str, RankingMetrics]
    """By scorer, as the manifest keeps them."""
    results: tuple[Result, ...]
    differences: tuple[Difference, ...]
    activity: tuple[Activity, ...]
    facts: Facts


@dataclass(frozen=True, slots=True)
class _Scored:
    rankings: Rankings
    """Of 50."""
    at_k: UserMetrics

    def by_name(self) -> dict[str, NDArray[np.float64]]:
        hits = (self.at_k.recall > 0).astype(np.float64)
        return {**self.at_k.by_name(), f"hit_rate@{K}": hits}

    def top(self) -> Rankings:
        return _cut(self.rankings)


def baseline_scorers(dataset: Dataset, train: Interactions) -> dict[str, Scorer]:
    """Fits popularity and EASE to what the model learnt from.

    EASE inverts a matrix of items by items and needs one of users by items: it is left out above
    5,000 items or a hundred million entries.
    """
    item_count, entries = len(dataset.items), len(dataset.users) * len(dataset.items)
    names = ["popularity"]
    if item_count <= _EASE_ITEMS and entries <= _EASE_ENTRIES:
        names.append("ease")
    return {name: BASELINES[name](dataset, train).scorer(train) for name in names}


def measure(
    dataset: Dataset, split: Split, seen: Histories, scorers: Mapping[str, Scorer]
) -> Measurement:
    """Ranks the unseen catalogue for every user of the test split, with each scorer.

    Args:
        dataset: the catalogue and the users.
        split: `test` is what is to be found; `train` what counts as known of an item.
        seen: items per user that are never recommended.
        scorers: by name, `model` among them; the others are baselines.

    Raises:
        KeyError: there is no scorer `model`.
    """
    relevant = Histories.of(len(dataset.users), split.test)
    found = {name: _score(dataset, relevant, seen, scorer) for name, scorer in scorers.items()}
    model = found[MODEL]
    ordered = {MODEL: model, **found}
    counts = item_counts(split.train, len(dataset.items))
    return Measurement(
        metrics={
            name: RankingMetrics.of(scored.at_k, scored.top(), len(counts))
            for name, scored in ordered.items()
        },
        results=tuple(_result(name, scored, relevant, counts) for name, scored in ordered.items()),
        differences=tuple(
            Difference(baseline=name, metrics=_differences(model, scored))
            for name, scored in ordered.items()
            if name != MODEL
        ),
        activity=_activity(ordered, seen),
        facts=_facts(dataset, split, seen, model.rankings),
    )


def _score(dataset: Dataset, relevant: Histories, seen: Histories, scorer: Scorer) -> _Scored:
    users = np.flatnonzero(np.diff(relevant.offsets)).astype(np.int32)
    rankings = rank(scorer, users, seen, k=LONGEST, item_count=len(dataset.items))
    return _Scored(rankings, score_rankings(_cut(rankings), relevant, k=K))


def _cut(rankings: Rankings) -> Rankings:
    return Rankings(rankings.user_rows, rankings.item_rows[:, :K])


def _result(name: str, scored: _Scored, relevant: Histories, counts: NDArray[np.int64]) -> Result:
    beyond = beyond_accuracy(
        scored.top(), relevant, Catalogue(counts, np.zeros((0, 0), np.float32))
    )
    whole = {
        f"{_WHOLE_NAMES.get(each, each)}@{K}": Estimate(value)
        for each, value in beyond.by_name().items()
        if np.isfinite(value)
    }
    curve = precision_recall(scored.rankings, relevant)
    return Result(
        scorer=name,
        user_count=len(scored.at_k.user_rows),
        metrics=_means(scored) | whole,
        precision=tuple(curve.precision.tolist()),
        recall=tuple(curve.recall.tolist()),
    )


def _means(scored: _Scored) -> Estimates:
    return {
        name: _estimate(mean_interval(values, seed=_SEED, draws=_draws(len(values))))
        for name, values in scored.by_name().items()
    }


def _differences(model: _Scored, baseline: _Scored) -> Estimates:
    others = baseline.by_name()
    return {
        name: _estimate(
            difference_interval(values, others[name], seed=_SEED, draws=_draws(len(values)))
        )
        for name, values in model.by_name().items()
    }


def _estimate(interval: Interval) -> Estimate:
    return Estimate(interval.mean, interval.low, interval.high)


def _draws(user_count: int) -> int:
    # With many users the ends of an interval need fewer draws, and each takes longer.
    return max(_FEWEST_DRAWS, min(_DRAWS, _DRAWN_USERS // user_count))


def _activity(scored: Mapping[str, _Scored], seen: Histories) -> tuple[Activity, ...]:
    groups = {name: by_activity(each.at_k, seen) for name, each in scored.items()}
    return tuple(
        Activity(
            fewest=group.fewest,
            most=group.most,
            user_count=group.user_count,
            metrics={name: of[place].metrics for name, of in groups.items()},
        )
        for place, group in enumerate(groups[MODEL])
    )


def _facts(dataset: Dataset, split: Split, seen: Histories, rankings: Rankings) -> Facts:
    is_new = item_counts(split.train, len(dataset.items)) == 0
    listed = np.unique(rankings.item_rows[rankings.item_rows >= 0])
    return Facts(
        time_order=_time_order(split, len(dataset.users)),
        user_count=len(rankings.user_rows),
        test_count=len(split.test),
        new_user_count=int((np.diff(seen.offsets) == 0).sum()),
        new_item_count=int(is_new.sum()),
        new_item_test_count=int(is_new[split.test.item_rows].sum()),
        new_items_found=int(is_new[listed].sum()),
        low_rating_share=_low_rating_share(dataset.interactions.ratings, split.test.ratings),
    )


def _time_order(split: Split, user_count: int) -> TimeOrder:
    known = [part for part in (split.train, split.validation) if len(part)]
    if max(part.timestamps.max() for part in known) <= split.test.timestamps.min():
        return "global"
    newest = np.full(user_count, np.iinfo(np.int64).min)
    oldest = np.full(user_count, np.iinfo(np.int64).max)
    for part in known:
        np.maximum.at(newest, part.user_rows, part.timestamps)
    np.minimum.at(oldest, split.test.user_rows, split.test.timestamps)
    return "per user" if (newest <= oldest).all() else "none"


def _low_rating_share(ratings: NDArray[np.float32], tested: NDArray[np.float32]) -> float:
    lowest, highest = ratings.min(), ratings.max()
    if not lowest < highest:  # all the same, or not numbers
        return 0.0
    return float((tested < (lowest + highest) / 2).mean())
