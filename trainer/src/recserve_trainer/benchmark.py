"""One benchmark: archive -> protocol -> fit -> publish -> rank through what was published -> score.

The model is scored as a server would serve it: the rankings come out of the SavedModel.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from recserve.artifact.v1 import manifest_pb2
from recserve_trainer.artifact.export import Artifact, publish
from recserve_trainer.artifact.manifest import Origin, manifest_of
from recserve_trainer.artifact.served import ServedModel, queries_of
from recserve_trainer.benchmark_config import BenchmarkConfig
from recserve_trainer.config import DatasetConfig, TrainConfig
from recserve_trainer.datasets.movielens_archive import read_archive
from recserve_trainer.evaluation.baselines import BASELINES, Baseline, item_counts
from recserve_trainer.evaluation.beyond_accuracy import Catalogue, attribute_matrix
from recserve_trainer.evaluation.evidence import TaskEvidence
from recserve_trainer.evaluation.metrics import Rankings, rank
from recserve_trainer.evaluation.published import (
    PUBLISHED,
    PUBLISHED_K,
    PUBLISHED_SEED,
    PUBLISHED_VERSION,
    PublishedRow,
)
from recserve_trainer.evaluation.split import Split
from recserve_trainer.evaluation.tasks import PROTOCOLS, Protocol, Task
from recserve_trainer.families.training import Fit, fit
from recserve_trainer.features import Feature
from recserve_trainer.interactions import Dataset, Histories
from recserve_trainer.progress import Progress

SCHEMA: Final = 1
"""Version of what `BenchmarkResult.record` returns; it rises when a field changes its meaning."""


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """What was found out."""

    config: BenchmarkConfig
    dataset: Dataset
    protocol: Protocol
    fit: Fit
    manifest: manifest_pb2.Manifest
    """Of the published version."""
    path: Path | None
    """Where it is kept, if it is."""
    evidence: tuple[TaskEvidence, ...]
    """One per task, the principal one first."""

    @property
    def published(self) -> tuple[PublishedRow, ...]:
        """What others have published on this very protocol; nothing on any other."""
        is_theirs = (
            self.config.seed == PUBLISHED_SEED
            and self.config.k == PUBLISHED_K
            and self.dataset.version == PUBLISHED_VERSION
        )
        return PUBLISHED.get(self.config.protocol, ()) if is_theirs else ()

    def record(self) -> dict[str, Any]:
        """Returns everything but the rankings, for JSON."""
        dataset, manifest = self.dataset, self.manifest
        return {
            "schema": SCHEMA,
            "dataset": {
                "name": dataset.name,
                "version": dataset.version,
                "user_count": len(dataset.users),
                "item_count": len(dataset.items),
            },
            "protocol": {
                "name": self.protocol.name,
                "description": self.protocol.split.description,
                "seed": self.config.seed,
                "k": self.config.k,
                "train_count": len(self.protocol.split.train),
                "test_count": len(self.protocol.split.test),
                "split_sha256": manifest.dataset.split_sha256,
            },
            "model": {
                "family": manifest.model.kind,
                "settings": asdict(self.config.fit),
                "epochs": self.fit.epoch_count,
                "index": manifest.index.kind,
                "index_recall_at_10": manifest.index.recall_at_10,
            },
            "tasks": [evidence.record() for evidence in self.evidence],
            "published": [
                {"model": row.model, "metrics": row.by_name(), "source": row.source}
                for row in self.published
            ],
            "library_versions": dict(manifest.library_versions),
        }


def run(config: BenchmarkConfig, progress: Progress) -> BenchmarkResult:
    """Runs one benchmark.

    Raises:
        DatasetError: the archive cannot be used, or is too small for the protocol.
        TrainerError: the model could not be published, or cannot be asked what the protocol asks.
    """
    progress.note(f"reading {config.archive}")
    dataset = read_archive(config.archive)
    protocol = PROTOCOLS[config.protocol](dataset, config.seed)
    split = protocol.split
    progress.note(f"{split.description}; {len(split.train):,} train, {len(split.test):,} test")
    with _models_dir(config) as models_dir:
        fitted = _fit(config, dataset, split, progress)
        artifact = _artifact(config, dataset, split, fitted)
        progress.note("exporting, reloading and ranking through the SavedModel")
        path = publish(artifact, models_dir)
        tower = fitted.model.stages.query_tower
        served = _Served(ServedModel(path), dataset, tuple(tower.features if tower else ()))
        rankings = [served.rankings(task, config.k) for task in protocol.tasks]
    baselines: dict[str, Baseline] = {}
    for name in config.baselines:
        progress.note(f"baseline: {name}")
        baselines[name] = BASELINES[name](dataset, split.train)
    catalogue = Catalogue(
        train_counts=artifact.train_counts,
        attributes=attribute_matrix(dataset.items.columns.get("genres")),
    )
    return BenchmarkResult(
        config=config,
        dataset=dataset,
        protocol=protocol,
        fit=fitted,
        manifest=artifact.manifest,
        path=path if config.models_dir else None,
        evidence=tuple(
            _evidence(task, found, baselines, catalogue, config.k)
            for task, found in zip(protocol.tasks, rankings, strict=True)
        ),
    )


@contextmanager
def _models_dir(config: BenchmarkConfig) -> Iterator[Path]:
    if config.models_dir is not None:
        yield config.models_dir
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _fit(config: BenchmarkConfig, dataset: Dataset, split: Split, progress: Progress) -> Fit:
    with tempfile.TemporaryDirectory() as folder:
        # The dataset has been read, and nothing is published yet: both paths are not looked at.
        train = TrainConfig(
            dataset=DatasetConfig(name="movielens/100k", data_dir=Path(folder)),
            models_dir=Path(folder),
            fit=config.fit,
        )
        return fit(dataset, split, train, Path(folder), progress)


def _artifact(config: BenchmarkConfig, dataset: Dataset, split: Split, fitted: Fit) -> Artifact:
    origin = Origin(
        name=f"benchmark-{config.protocol}-{config.family}",
        family=config.family,
        arguments={
            **asdict(config.fit),
            "epochs_kept": fitted.best_epoch,
            "split_seed": config.seed,
        },
    )
    manifest = manifest_of(origin, fitted.model, dataset, split)
    return Artifact(
        model=fitted.model,
        users=dataset.users,
        histories=Histories.rated(len(dataset.users), split.train),
        items=dataset.items,
        train_counts=item_counts(split.train, len(dataset.items)),
        manifest=manifest,
        index=config.index,
    )


@dataclass(frozen=True, slots=True)
class _Served:
    """The published model, and what it takes to put a task to it."""

    model: ServedModel
    dataset: Dataset
    features: tuple[Feature, ...]

    def rankings(self, task: Task, k: int) -> Rankings:
        if not task.by_history:
            return self.model.by_id(task.user_rows, task.excluded, k=k)
        queries = queries_of(task.known, self.dataset.users, self.features)
        return self.model.by_query(task.user_rows, queries, task.excluded, k=k)


def _evidence(
    task: Task, found: Rankings, baselines: dict[str, Baseline], catalogue: Catalogue, k: int
) -> TaskEvidence:
    rankings = {"model": found}
    for name, baseline in baselines.items():
        rankings[name] = rank(
            baseline.scorer(task.known),
            task.user_rows,
            task.excluded,
            k=k,
            item_count=len(catalogue.train_counts),
        )
    return TaskEvidence.of(task, rankings, catalogue, k)
