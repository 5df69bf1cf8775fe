"""One training run: dataset -> split -> fit -> evaluate -> publish."""

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from recserve_trainer.artifact.card_files import Evidence
from recserve_trainer.artifact.card_results import baseline_scorers, measure
from recserve_trainer.artifact.export import Artifact, publish
from recserve_trainer.artifact.manifest import Origin, manifest_of
from recserve_trainer.config import TrainConfig
from recserve_trainer.datasets.load import load_dataset
from recserve_trainer.evaluation.baselines import item_counts
from recserve_trainer.evaluation.metrics import RankingMetrics
from recserve_trainer.evaluation.split import Split, split_by_time
from recserve_trainer.evaluation.two_stage import model_scorer
from recserve_trainer.families.training import Fit, fit
from recserve_trainer.index_choice import choose_index
from recserve_trainer.interactions import Dataset, Histories
from recserve_trainer.learning import distribution
from recserve_trainer.progress import Progress


@dataclass(frozen=True, slots=True)
class Published:
    """A finished run."""

    path: Path
    dataset: Dataset
    fit: Fit
    metrics: dict[str, RankingMetrics]
    """Metrics on the test split by scorer: `model`, `popularity` and, up to 5,000 items, `ease`."""


def run(config: TrainConfig, progress: Progress) -> Published | None:
    """Trains one model and publishes it as the next version of its name.

    Returns:
        What was published; None on a worker that trains along but leaves publishing to the chief.

    Raises:
        DatasetError: there is nothing to train on.
        ExportError: the version could not be written.
    """
    distribution.strategy()  # before anything else that TensorFlow computes
    dataset = load_dataset(config.dataset, progress)
    split = split_by_time(dataset.interactions, config.split)
    progress.note(
        f"{len(dataset.users):,} users, {len(dataset.items):,} items; interactions: "
        f"{len(split.train):,} train, {len(split.validation):,} validation, "
        f"{len(split.test):,} test"
    )
    fitted, tested = _fit(dataset, split, config, progress)
    published = None
    if distribution.is_chief():
        published = _test_and_publish(_Fitted(dataset, split, tested, fitted), config, progress)
    distribution.wait_for_all()
    return published


@dataclass(frozen=True, slots=True)
class _Fitted:
    dataset: Dataset
    split: Split
    tested: Split
    """The split whose training part the model was fitted to in the end."""
    fit: Fit


def _fit(
    dataset: Dataset, split: Split, config: TrainConfig, progress: Progress
) -> tuple[Fit, Split]:
    logs_dir = config.logs_dir or config.models_dir / config.name / "logs"
    run_name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    whole = split.with_validation_in_train()
    if config.refit and config.fit.epochs == 1:
        # Validation would have nothing to choose.
        return fit(dataset, whole, config, logs_dir / run_name, progress), whole
    fitted = fit(dataset, split, config, logs_dir / run_name, progress)
    progress.note(
        f"kept epoch {fitted.best_epoch} of {fitted.epoch_count}; median epoch "
        f"{fitted.epoch_seconds:.1f} s, validation included"
    )
    if not config.refit or not len(split.validation):
        return fitted, split
    progress.note("learning once more, from training and validation interactions together")
    once_more = replace(config, fit=replace(config.fit, epochs=fitted.best_epoch))
    again = fit(dataset, whole, once_more, logs_dir / f"{run_name}-refit", progress)
    return replace(fitted, model=again.model), whole


def _test_and_publish(fitted: _Fitted, config: TrainConfig, progress: Progress) -> Published:
    dataset, split, model = fitted.dataset, fitted.split, fitted.fit.model
    seen = Histories.rated(len(dataset.users), split.train, split.validation)
    scorers = baseline_scorers(dataset, fitted.tested.train)
    measured = measure(
        dataset, fitted.tested, seen, {"model": model_scorer(model, seen), **scorers}
    )
    origin = _origin(config, fitted.fit, measured.metrics)
    artifact = Artifact(
        model=model,
        users=dataset.users,
        histories=seen,
        items=dataset.items,
        train_counts=item_counts(fitted.tested.train, len(dataset.items)),
        manifest=manifest_of(origin, model, dataset, split),
        card=Evidence(measured, fitted.fit.best_epoch, fitted.fit.curve),
    )
    path = _publish(artifact, config, progress)
    return Published(path, dataset, fitted.fit, measured.metrics)


def _publish(artifact: Artifact, config: TrainConfig, progress: Progress) -> Path:
    choice = choose_index(config.index.kind, len(artifact.items))
    progress.note(f"index: {choice.kind}, {choice.reason}")
    progress.note("exporting, reloading and comparing with a brute force in NumPy")
    path = publish(
        replace(artifact, index=replace(config.index, kind=choice.kind)), config.models_dir
    )
    if choice.kind == "scann":
        recall = artifact.manifest.index.recall_at_10
        progress.note(f"the index finds {recall:.4f} of the exact top 10")
    return path


def _origin(config: TrainConfig, fitted: Fit, metrics: dict[str, RankingMetrics]) -> Origin:
    return Origin(
        name=config.name,
        family=config.model,
        arguments={
            **asdict(config.fit),
            **asdict(config.split),
            "epochs_kept": fitted.best_epoch,
            "refit": config.refit,
        },
        metrics=metrics,
    )
