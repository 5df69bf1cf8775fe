"""One training run: dataset -> split -> fit -> evaluate -> publish."""

import importlib.metadata
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from recserve.artifact.v1 import manifest_pb2
from recserve_trainer.artifact.export import Artifact, publish
from recserve_trainer.config import TrainConfig
from recserve_trainer.datasets.load import load_dataset
from recserve_trainer.evaluation.baselines import item_counts, popularity_scorer
from recserve_trainer.evaluation.metrics import RankingMetrics, evaluate
from recserve_trainer.evaluation.split import Split, split_by_time, split_sha256
from recserve_trainer.evaluation.two_stage import model_scorer
from recserve_trainer.families.training import Fit, K, fit
from recserve_trainer.index_choice import choose_index
from recserve_trainer.interactions import Dataset, Histories, Interactions
from recserve_trainer.progress import Progress
from recserve_trainer.retrieval import QueryTower, RetrievalModel

_LIBRARIES = (
    "numpy",
    "pyarrow",
    "recserve-trainer",
    "tensorflow",
    "tensorflow-datasets",
    "tensorflow-recommenders",
    "tf-keras",
)


@dataclass(frozen=True, slots=True)
class Published:
    """A finished run."""

    path: Path
    dataset: Dataset
    fit: Fit
    metrics: dict[str, RankingMetrics]
    """Metrics on the test split by scorer: `model` and `popularity`."""


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
    learnt_from = split.train
    if config.refit and len(split.validation):
        progress.note("learning once more, from training and validation interactions together")
        split_whole = split.with_validation_in_train()
        learnt_from = split_whole.train
        once_more = replace(config, fit=replace(config.fit, epochs=fitted.best_epoch))
        again = fit(dataset, split_whole, once_more, logs_dir / f"{run_name}-refit", progress)
        fitted = replace(fitted, model=again.model)
    seen = Histories.of(len(dataset.users), split.train, split.validation)
    metrics = _test(dataset, split.test, learnt_from, seen, fitted.model)
    artifact = Artifact(
        model=fitted.model,
        users=dataset.users,
        histories=seen,
        items=dataset.items,
        train_counts=item_counts(learnt_from, len(dataset.items)),
        manifest=_manifest(config, dataset, split, fitted, metrics),
    )
    return Published(_publish(artifact, config, progress), dataset, fitted, metrics)


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


def _test(
    dataset: Dataset,
    test: Interactions,
    learnt_from: Interactions,
    seen: Histories,
    model: RetrievalModel,
) -> dict[str, RankingMetrics]:
    item_count = len(dataset.items)
    relevant = Histories.of(len(dataset.users), test)
    scorers = {
        "model": model_scorer(model, seen),
        "popularity": popularity_scorer(learnt_from, item_count),
    }
    return {
        name: evaluate(scorer, relevant, seen, k=K, item_count=item_count)
        for name, scorer in scorers.items()
    }


def _manifest(
    config: TrainConfig,
    dataset: Dataset,
    split: Split,
    fitted: Fit,
    metrics: dict[str, RankingMetrics],
) -> manifest_pb2.Manifest:
    ranker = fitted.model.stages.ranker
    arguments = {**asdict(config.fit), **asdict(config.split), "epochs_kept": fitted.best_epoch}
    arguments["refit"] = config.refit
    return manifest_pb2.Manifest(
        model_name=config.name,
        model=manifest_pb2.Model(
            kind=config.model,
            embedding_dimension=fitted.model.embeddings.items.shape[1],
            user_count=len(dataset.users),
            item_count=len(dataset.items),
            query_features=_features(fitted.model.stages.query_tower),
            ranking_candidates=ranker.candidates if ranker else 0,
        ),
        dataset=manifest_pb2.Dataset(
            name=dataset.name,
            version=dataset.version,
            split=split.description,
            train_count=len(split.train),
            validation_count=len(split.validation),
            test_count=len(split.test),
            split_sha256=split_sha256(dataset, split),
        ),
        evaluations=[
            manifest_pb2.Evaluation(
                scorer=name, split="test", user_count=found.user_count, metrics=found.by_name()
            )
            for name, found in metrics.items()
        ],
        library_versions={name: importlib.metadata.version(name) for name in _LIBRARIES},
        training_arguments={name: str(value) for name, value in arguments.items()},
    )


def _features(tower: QueryTower | None) -> list[manifest_pb2.Feature]:
    return [
        manifest_pb2.Feature(
            name=feature.name,
            kind=feature.kind,
            vocabulary=feature.vocabulary,
            mean=feature.mean,
            deviation=feature.deviation,
        )
        for feature in (tower.features if tower else ())
    ]
