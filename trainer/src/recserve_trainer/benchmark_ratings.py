"""Predicting ratings on the five folds that come with MovieLens 100K, beside published errors."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from recserve_trainer.datasets.movielens_archive import read_archive, read_rating_split
from recserve_trainer.learning.dcn import RatingConfig
from recserve_trainer.learning.rating_prediction import (
    RatingMetrics,
    fit_ratings,
    rating_metrics,
)
from recserve_trainer.progress import Progress

FOLDS: Final = (1, 2, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class PublishedErrors:
    """What others report for MovieLens 100K."""

    model: str
    rmse: float
    mae: float


PUBLISHED_ERRORS: Final = (
    PublishedErrors("SVD++ (Surprise)", 0.919, 0.721),
    PublishedErrors("k-NN Baseline (Surprise)", 0.931, 0.733),
    PublishedErrors("SVD (Surprise)", 0.934, 0.737),
    PublishedErrors("Baseline, biases alone (Surprise)", 0.944, 0.748),
    PublishedErrors("NMF (Surprise)", 0.963, 0.758),
    PublishedErrors("k-NN (Surprise)", 0.98, 0.774),
)
"""From the README of scikit-surprise, at default settings, 5-fold cross-validation over folds drawn
at random: as large as u1 to u5, not the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RatingBenchmarkConfig:
    """Which folds, and how to learn."""

    archive: Path
    """GroupLens' ml-100k.zip."""
    folds: Sequence[int] = FOLDS
    fit: RatingConfig

    def __post_init__(self) -> None:
        if not self.folds or any(fold not in FOLDS for fold in self.folds):
            raise ValueError(f"folds are {list(self.folds)}, must be of 1 to 5, one or more")


@dataclass(frozen=True, slots=True)
class RatingBenchmark:
    """The errors on each fold."""

    config: RatingBenchmarkConfig
    metrics: dict[int, RatingMetrics]
    """By fold."""

    def mean(self) -> dict[str, float]:
        """Returns the means over the folds, by name."""
        of_folds = [metrics.by_name() for metrics in self.metrics.values()]
        return {name: float(np.mean([each[name] for each in of_folds])) for name in of_folds[0]}

    def record(self) -> dict[str, Any]:
        """Returns everything as JSON takes it."""
        return {
            "dataset": "movielens/100k",
            "protocol": "u1 to u5 of the archive",
            "settings": asdict(self.config.fit),
            "folds": {str(fold): metrics.by_name() for fold, metrics in self.metrics.items()},
            "mean": self.mean(),
            "published": [asdict(row) for row in PUBLISHED_ERRORS],
        }


def run_rating_benchmark(config: RatingBenchmarkConfig, progress: Progress) -> RatingBenchmark:
    """Learns from u{n}.base and predicts u{n}.test, fold by fold.

    Raises:
        DatasetError: the archive is absent or broken.
    """
    dataset = read_archive(config.archive)
    metrics: dict[int, RatingMetrics] = {}
    for fold in config.folds:
        train, test = read_rating_split(config.archive, f"u{fold}", dataset)
        predictor = fit_ratings(dataset, train, config.fit)
        metrics[fold] = rating_metrics(predictor.predict(test.user_rows, test.item_rows), test)
        progress.note(f"u{fold}: RMSE {metrics[fold].rmse:.4f}, MAE {metrics[fold].mae:.4f}")
    return RatingBenchmark(config, metrics)
