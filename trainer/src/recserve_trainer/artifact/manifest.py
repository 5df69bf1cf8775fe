"""What is said of a version in its manifest, but for what only the export knows."""

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from recserve.artifact.v1 import manifest_pb2
from recserve_trainer.evaluation.metrics import RankingMetrics
from recserve_trainer.evaluation.split import Split, split_sha256
from recserve_trainer.interactions import Dataset
from recserve_trainer.retrieval import ItemTower, QueryTower, RetrievalModel

_LIBRARIES: Final = (
    "lightgbm",
    "numpy",
    "pyarrow",
    "recserve-trainer",
    "tensorflow",
    "tensorflow-datasets",
    "tensorflow-recommenders",
    "tf-keras",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where a model comes from."""

    name: str
    """To publish under."""
    family: str
    arguments: Mapping[str, object]
    """Settings of the training, by name."""
    metrics: Mapping[str, RankingMetrics] = field(default_factory=dict)
    """On the test split, by scorer."""


def manifest_of(
    origin: Origin, model: RetrievalModel, dataset: Dataset, split: Split
) -> manifest_pb2.Manifest:
    """Describes a model that was fitted to a split of a dataset."""
    ranker = model.stages.ranker
    return manifest_pb2.Manifest(
        model_name=origin.name,
        model=manifest_pb2.Model(
            kind=origin.family,
            embedding_dimension=model.embeddings.items.shape[1],
            user_count=len(dataset.users),
            item_count=len(dataset.items),
            query_features=_features(model.stages.query_tower),
            item_features=_features(model.stages.item_tower),
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
            for name, found in origin.metrics.items()
        ],
        library_versions=library_versions(),
        training_arguments={name: str(value) for name, value in origin.arguments.items()},
    )


def library_versions() -> dict[str, str]:
    """Returns the versions of what a trainer is made of, by distribution name."""
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}


def _features(tower: QueryTower | ItemTower | None) -> list[manifest_pb2.Feature]:
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
