"""Models side by side on one task: metrics, intervals, paired differences, JSON; pure."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Self

from recserve_trainer.evaluation.beyond_accuracy import (
    ActivityGroup,
    BeyondAccuracy,
    Catalogue,
    beyond_accuracy,
    by_activity,
)
from recserve_trainer.evaluation.bootstrap import Interval, difference_intervals, mean_intervals
from recserve_trainer.evaluation.metrics import Rankings, UserMetrics, score_rankings
from recserve_trainer.evaluation.tasks import Task
from recserve_trainer.interactions import Histories

_SEED = 0
"""Of the bootstrap: the same users are drawn for every model, so that intervals compare."""


@dataclass(frozen=True, slots=True)
class Scored:
    """How one model did on a task."""

    metrics: UserMetrics
    intervals: dict[str, Interval]
    """Means over users by name, e.g. `ndcg@10`."""
    beyond: BeyondAccuracy
    activity: list[ActivityGroup]


@dataclass(frozen=True, slots=True)
class TaskEvidence:
    """All models on one task."""

    task: Task
    rankings: Rankings
    """The model's own."""
    scored: dict[str, Scored]
    """By name, `model` first, then baselines."""
    differences: dict[str, dict[str, Interval]]
    """By baseline and metric: the mean of model minus baseline, paired by user."""

    @classmethod
    def of(cls, task: Task, rankings: dict[str, Rankings], catalogue: Catalogue, k: int) -> Self:
        """Scores the rankings of all models, `model` among them, for the users of a task."""
        scored = {name: score_task(each, task, catalogue, k=k) for name, each in rankings.items()}
        ours = scored["model"].metrics.by_name()
        return cls(
            task=task,
            rankings=rankings["model"],
            scored=scored,
            differences={
                name: difference_intervals(ours, other.metrics.by_name(), seed=_SEED)
                for name, other in scored.items()
                if name != "model"
            },
        )

    def record(self) -> dict[str, Any]:
        """Returns what JSON keeps of it; numbers that there are none of are null."""
        return {
            "name": self.task.name,
            "user_count": len(self.task.user_rows),
            "scorers": {name: _scored_record(scored) for name, scored in self.scored.items()},
            "differences": {
                name: _intervals_record(intervals) for name, intervals in self.differences.items()
            },
        }


def score_task(rankings: Rankings, task: Task, catalogue: Catalogue, *, k: int) -> Scored:
    """Scores one model's rankings for the users of a task.

    Raises:
        ValueError: the rankings are not for these users, in this order.
    """
    if rankings.user_rows.tolist() != task.user_rows.tolist():
        raise ValueError(f"the rankings are not for the {len(task.user_rows)} users of the task")
    histories = Histories.of(len(task.relevant), task.known)
    metrics = score_rankings(rankings, task.relevant, k=k)
    return Scored(
        metrics=metrics,
        intervals=mean_intervals(metrics.by_name(), seed=_SEED),
        beyond=beyond_accuracy(rankings, histories, catalogue),
        activity=by_activity(metrics, histories),
    )


def _scored_record(scored: Scored) -> dict[str, Any]:
    return {
        "metrics": _intervals_record(scored.intervals),
        "beyond_accuracy": {
            name: None if math.isnan(value) else value
            for name, value in scored.beyond.by_name().items()
        },
        "by_activity": [asdict(group) for group in scored.activity],
    }


def _intervals_record(intervals: dict[str, Interval]) -> dict[str, dict[str, float]]:
    return {name: asdict(interval) for name, interval in intervals.items()}
