"""Fits a model epoch by epoch and keeps the one that ranks the validation split best."""

import time
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from recserve_trainer.config import TrainConfig
from recserve_trainer.errors import TrainerError
from recserve_trainer.evaluation.metrics import evaluate
from recserve_trainer.evaluation.split import Split
from recserve_trainer.families.collaborative import CollaborativeTraining
from recserve_trainer.interactions import Dataset, Histories
from recserve_trainer.progress import Progress
from recserve_trainer.retrieval import Embeddings

K = 10
_FAMILIES = {"collaborative": CollaborativeTraining}


@dataclass(frozen=True, slots=True)
class Fit:
    """The best epoch's model and how it came about."""

    embeddings: Embeddings
    best_epoch: int
    epoch_count: int
    epoch_seconds: float
    """Median wall time of an epoch, validation included."""


def fit(
    dataset: Dataset, split: Split, config: TrainConfig, logs_dir: Path, progress: Progress
) -> Fit:
    """Trains until validation nDCG@10 has not risen for `patience` epochs.

    Writes TensorBoard scalars of every epoch to `logs_dir`.

    Raises:
        TrainerError: `logs_dir` cannot be made.
    """
    user_count, item_count = len(dataset.user_ids), len(dataset.items)
    seen = Histories.of(user_count, split.train)
    relevant = Histories.of(user_count, split.validation)
    training = _FAMILIES[config.model](dataset, split, config.fit)
    try:
        logs_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainerError(f"cannot write logs to {logs_dir}: {error.strerror}") from error
    writer = tf.summary.create_file_writer(str(logs_dir))
    best, best_ndcg, best_epoch = training.embeddings(), -1.0, 0
    seconds: list[float] = []
    with progress.epochs(config.fit.epochs) as bar, writer.as_default():
        for epoch in range(1, config.fit.epochs + 1):
            start_s = time.perf_counter()
            logged = training.run_epoch()
            embeddings = training.embeddings()
            metrics = evaluate(embeddings.score, relevant, seen, k=K, item_count=item_count)
            seconds.append(time.perf_counter() - start_s)
            _log(epoch, {**logged, **metrics.by_name(), "epoch_seconds": seconds[-1]})
            bar.advance(
                f"validation nDCG@{K} {metrics.ndcg:.4f}, best {max(best_ndcg, metrics.ndcg):.4f}"
            )
            if metrics.ndcg > best_ndcg:
                best, best_ndcg, best_epoch = embeddings, metrics.ndcg, epoch
            elif epoch - best_epoch >= config.fit.patience:
                break
    writer.close()
    return Fit(best, best_epoch, len(seconds), sorted(seconds)[len(seconds) // 2])


def _log(epoch: int, values: dict[str, float]) -> None:
    for name, value in values.items():
        tf.summary.scalar(name.replace("@", "_at_"), value, step=epoch)
