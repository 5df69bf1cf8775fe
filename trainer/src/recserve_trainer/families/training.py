"""Fits a model epoch by epoch and keeps the one that ranks the validation split best."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self

import tensorflow as tf

from recserve_trainer.config import TrainConfig
from recserve_trainer.errors import TrainerError
from recserve_trainer.evaluation.metrics import RankingMetrics, evaluate
from recserve_trainer.evaluation.split import Split
from recserve_trainer.families.collaborative import CollaborativeTraining
from recserve_trainer.families.content import ContentTraining
from recserve_trainer.families.history import HistoryTraining
from recserve_trainer.families.history_softmax import HistorySoftmaxTraining
from recserve_trainer.families.hybrid import HybridTraining
from recserve_trainer.families.popularity import PopularityTraining
from recserve_trainer.families.ranking import RankingTraining
from recserve_trainer.interactions import Dataset, Histories
from recserve_trainer.learning import distribution
from recserve_trainer.progress import EpochProgress, Progress
from recserve_trainer.retrieval import RetrievalModel

K = 10


class Training(Protocol):
    """One model of some family being fitted to one split."""

    def run_epoch(self) -> dict[str, float]:
        """Makes one pass over the training interactions; returns what to log, by name.

        A family in closed form has one epoch, which is everything.
        """
        ...

    def model(self) -> RetrievalModel:
        """Returns the model as it stands."""
        ...


FAMILIES: Final[dict[str, Callable[[Dataset, Split, Any], Training]]] = {
    "collaborative": CollaborativeTraining,
    "content": ContentTraining,
    "history": HistoryTraining,
    "history-softmax": HistorySoftmaxTraining,
    "hybrid": HybridTraining,
    "popularity": PopularityTraining,
    "ranking": RankingTraining,
    "textbook": CollaborativeTraining,
}
"""By name, as in `FIT_CONFIGS`: what makes a training out of dataset, split and its config."""
_DISTRIBUTED: Final = ("collaborative", "textbook")
"""Families that several workers can train together."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The best epoch's model and how it came about."""

    model: RetrievalModel
    best_epoch: int
    epoch_seconds: float
    """Median wall time of an epoch, validation included."""
    curve: tuple[dict[str, float], ...]
    """What was logged of each epoch, by name, `epoch_seconds` and validation metrics included."""

    @property
    def epoch_count(self) -> int:
        """Epochs that were run."""
        return len(self.curve)


def fit(
    dataset: Dataset, split: Split, config: TrainConfig, logs_dir: Path, progress: Progress
) -> Fit:
    """Trains until validation nDCG@10 has not risen for `patience` epochs.

    Without validation interactions all epochs are run and the last is kept. Writes TensorBoard
    scalars of every epoch to `logs_dir`.

    Raises:
        TrainerError: `logs_dir` cannot be made, or several workers cannot train this family.
    """
    alone = distribution.strategy().num_replicas_in_sync == 1
    if not alone and config.model not in _DISTRIBUTED:
        families = " or ".join(_DISTRIBUTED)
        raise TrainerError(
            f"several workers cannot train {config.model}, only {families}; unset TF_CONFIG"
        )
    training = FAMILIES[config.model](dataset, split, config.fit)
    validation = _Validation.of(dataset, split) if len(split.validation) else None
    writer = _writer(logs_dir) if distribution.is_chief() else tf.summary.create_noop_writer()
    best, best_ndcg, best_epoch = None, -1.0, 0
    curve: list[dict[str, float]] = []
    with progress.epochs(config.fit.epochs) as bar, writer.as_default():
        for epoch in range(1, config.fit.epochs + 1):
            start_s = time.perf_counter()
            logged = training.run_epoch()
            metrics, model = _validate(training, validation, epoch == config.fit.epochs)
            logged |= metrics.by_name() if metrics else {}
            curve.append({**logged, "epoch_seconds": time.perf_counter() - start_s})
            _log(epoch, curve[-1])
            _show(bar, logged, metrics, best_ndcg)
            if metrics is None or metrics.ndcg > best_ndcg:
                best, best_epoch = model, epoch
                best_ndcg = metrics.ndcg if metrics else best_ndcg
            elif epoch - best_epoch >= config.fit.patience:
                break
    writer.close()
    seconds = sorted(logged["epoch_seconds"] for logged in curve)
    assert best is not None  # there is one epoch or more, and the last one's model is always kept
    return Fit(best, best_epoch, seconds[len(seconds) // 2], tuple(curve))


@dataclass(frozen=True, slots=True)
class _Validation:
    """What every epoch is measured on."""

    relevant: Histories
    seen: Histories
    item_count: int

    @classmethod
    def of(cls, dataset: Dataset, split: Split) -> Self:
        user_count = len(dataset.users)
        return cls(
            Histories.of(user_count, split.validation),
            Histories.of(user_count, split.train),
            len(dataset.items),
        )

    def metrics(self, model: RetrievalModel) -> RankingMetrics:
        scorer, item_count = model.embeddings.score, self.item_count
        return evaluate(scorer, self.relevant, self.seen, k=K, item_count=item_count)


def _validate(
    training: Training, validation: _Validation | None, is_last: bool
) -> tuple[RankingMetrics | None, RetrievalModel | None]:
    if validation is None:
        return None, training.model() if is_last else None
    model = training.model()
    return validation.metrics(model), model


def _show(
    bar: EpochProgress, logged: dict[str, float], metrics: RankingMetrics | None, best: float
) -> None:
    if metrics is None:
        bar.advance(f"loss {logged['loss']:.4f}" if "loss" in logged else "fitted")
    else:
        bar.advance(f"validation nDCG@{K} {metrics.ndcg:.4f}, best {max(best, metrics.ndcg):.4f}")


def _writer(logs_dir: Path) -> tf.summary.SummaryWriter:
    try:
        logs_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainerError(f"cannot write logs to {logs_dir}: {error.strerror}") from error
    return tf.summary.create_file_writer(str(logs_dir))


def _log(epoch: int, values: dict[str, float]) -> None:
    for name, value in values.items():
        tf.summary.scalar(name.replace("@", "_at_"), value, step=epoch)
