"""One training run: dataset -> split -> fit -> evaluate -> publish."""

import importlib.metadata
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from recserve_trainer.artifact.card_files import Evidence
from recserve_trainer.artifact.card_results import Measurement, baseline_scorers, measure
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
from recserve_trainer.progress import Progress
from recserve_trainer.retrieval import RetrievalModel


@dataclass(frozen=True, slots=True)
class Published:
    """A finished run."""

    path: Path
    dataset: Dataset
    fit: Fit
    metrics: dict[str, RankingMetrics]
    """Metrics on the test split by scorer: `model`, `popularity` and, up to 5,000 items, `ease`."""


def run(config: TrainConfig, progress: Progress) -> Published:
    """Trains one model and publishes it as the next version of its name.

    Raises:
        DatasetError: there is nothing to train on.
        ExportError: the version could not be written.
    """
    dataset = load_dataset(config.dataset, progress)
    split = split_by_time(dataset.interactions, config.split)
    progress.note(
        f"{len(dataset.users):,} users, {len(dataset.items):,} items; interactions: "
        f"{len(split.train):,} train, {len(split.validation):,} validation, "
        f"{len(split.test):,} test"
    )
    logs_dir = config.logs_dir or config.models_dir / config.name / "logs"
    run_name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    fitted = fit(dataset, split, config, logs_dir / run_name, progress)
    progress.note(
        f"kept epoch {fitted.best_epoch} of {fitted.epoch_count}; median epoch "
        f"{fitted.epoch_seconds:.1f} s, validation included"
    )
    tested = split
    if config.refit and len(split.validation):
        progress.note("learning once more, from training and validation interactions together")
        tested = split.with_validation_in_train()
        once_more = replace(config, fit=replace(config.fit, epochs=fitted.best_epoch))
        again = fit(dataset, tested, once_more, logs_dir / f"{run_name}-refit", progress)
        fitted = replace(fitted, model=again.model)
    seen = Histories.of(len(dataset.users), split.train, split.validation)
    measured = _test(dataset, tested, seen, fitted.model)
    artifact = Artifact(
        model=fitted.model,
        users=dataset.users,
        histories=seen,
        items=dataset.items,
        train_counts=item_counts(tested.train, len(dataset.items)),
        manifest=manifest_of(
            _origin(config, fitted, measured.metrics), fitted.model, dataset, split
        ),
        card=Evidence(measured, fitted.best_epoch, fitted.curve),
    )
    return Published(_publish(artifact, config, progress), dataset, fitted, measured.metrics)


def _publish(artifact: Artifact, config: TrainConfig, progress: Progress) -> Path:
    choice = choose_index(config.index.kind, len(artifact.items))
    progress.note(f"index: {choice.kind}, {choice.reason}")
    if choice.kind == "scann":
        artifact.manifest.library_versions["scann"] = importlib.metadata.version("scann")
    progress.note("exporting, reloading and comparing with a brute force in NumPy")
    path = publish(
        replace(artifact, index=replace(config.index, kind=choice.kind)), config.models_dir
    )
    if choice.kind == "scann":
        recall = artifact.manifest.index.recall_at_10
        progress.note(f"the index finds {recall:.4f} of the exact top 10")
    return path


def _test(dataset: Dataset, split: Split, seen: Histories, model: RetrievalModel) -> Measurement:
    scorers = baseline_scorers(dataset, split.train)
    return measure(dataset, split, seen, {"model": model_scorer(model, seen), **scorers})


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
