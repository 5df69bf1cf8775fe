"""What is to be known of a model version before it is trusted, as plain data.

After Mitchell et al., "Model cards for model reporting" (2019): what it learnt from, how it was
tested, how sure the numbers are, for whom they differ, and what it cannot do.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self, TypeAlias

from recserve.artifact.v1 import manifest_pb2
from recserve_trainer.errors import TrainerError

SCHEMA: Final = "recserve.model_card/1"
MODEL: Final = "model"
"""Name of the scorer that the card is about; all others are baselines."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over users, and where it may lie."""

    mean: float
    low: float | None = None
    """Lower end of the 95 % interval; None where none was computed."""
    high: float | None = None


Estimates: TypeAlias = dict[str, Estimate]
"""By metric name, e.g. `ndcg@10`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one scorer reaches on the test split."""

    scorer: str
    """`model`, or the name of a baseline."""
    user_count: int
    metrics: Estimates
    precision: tuple[float, ...] = ()
    """Mean precision of lists of 1, 2, ... items."""
    recall: tuple[float, ...] = ()
    """Mean recall of the same lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """By how much the model is above a baseline, each user paired with itself."""

    baseline: str
    metrics: Estimates


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """Users of similar activity, and what each scorer reaches for them."""

    fewest: int
    """Interactions before the test of the least active one."""
    most: int
    user_count: int
    metrics: dict[str, dict[str, float]]
    """Means by scorer, then by metric name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How the model came about."""

    kept_epoch: int
    curve: tuple[dict[str, float | None], ...]
    """What was logged of each epoch, by name; None for what was no number."""

    @property
    def is_single(self) -> bool:
        """Whether one pass was everything, as in closed form: there is no curve then."""
        return len(self.curve) < 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """Everything the card tells, but the version: that is known when the folder gets its name."""

    name: str
    kind: str
    """Family of the model."""
    embedding_dimension: int
    user_count: int
    item_count: int
    settings: dict[str, str]
    dataset: dict[str, str | int]
    """Name, version, split in words, counts of the parts, `split_sha256`: the manifest's."""
    index_kind: str
    index_recall_at_10: float
    library_versions: dict[str, str]
    create_time: str
    """RFC 3339, UTC."""
    protocol: str
    results: tuple[Result, ...]
    """The model's first."""
    differences: tuple[Difference, ...] = ()
    activity: tuple[Activity, ...] = ()
    """Least active users first."""
    training: Training | None = None
    """None where only a manifest is left to tell of the model."""
    known_limits: tuple[str, ...] = field(default=())

    def result(self, scorer: str) -> Result | None:
        """Returns what a scorer reaches, None if it was not tested."""
        return next((each for each in self.results if each.scorer == scorer), None)

    def to_json(self) -> str:
        """Returns the card as JSON, the schema's name included."""
        content = {"schema": SCHEMA, **asdict(self)}
        return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote.

        Raises:
            TrainerError: it is not JSON, of another schema, or something is missing.
        """
        try:
            content = json.loads(text)
            if not isinstance(content, dict):
                raise TrainerError("a model card must be a JSON object")
            schema = content.pop("schema", None)
            if schema != SCHEMA:
                raise TrainerError(f"the model card's schema is {schema!r}, must be {SCHEMA!r}")
            return cls(**(content | _parts(content)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TrainerError(f"the model card cannot be read: {error}") from error

    @classmethod
    def from_manifest(cls, manifest: manifest_pb2.Manifest, **found: Any) -> Self:
        """Takes from the manifest what it tells, and the rest from `found`, by field name."""
        model, index, dataset = manifest.model, manifest.index, manifest.dataset
        content: dict[str, Any] = {
            "name": manifest.model_name,
            "kind": model.kind,
            "embedding_dimension": model.embedding_dimension,
            "user_count": model.user_count,
            "item_count": model.item_count,
            "settings": dict(sorted(manifest.training_arguments.items())),
            "dataset": {
                each.name: getattr(dataset, each.name) for each in dataset.DESCRIPTOR.fields
            },
            "index_kind": index.kind,
            "index_recall_at_10": index.recall_at_10,
            "library_versions": dict(sorted(manifest.library_versions.items())),
            "create_time": manifest.create_time.ToJsonString(),
            "protocol": "",
            "results": _evaluations(manifest),
        }
        return cls(**(content | found))


def finite(values: Mapping[str, float]) -> dict[str, float | None]:
    """Returns the values, None for what is no number: JSON has neither NaN nor infinity."""
    return {name: float(value) if math.isfinite(value) else None for name, value in values.items()}


def _evaluations(manifest: manifest_pb2.Manifest) -> tuple[Result, ...]:
    return tuple(
        Result(
            scorer=each.scorer,
            user_count=each.user_count,
            metrics={name: Estimate(value) for name, value in sorted(each.metrics.items())},
        )
        for each in manifest.evaluations
    )


def _parts(content: dict[str, Any]) -> dict[str, Any]:
    training = content["training"]
    return {
        "results": tuple(
            Result(
                **each
                | {
                    "metrics": _estimates(each["metrics"]),
                    "precision": tuple(each["precision"]),
                    "recall": tuple(each["recall"]),
                }
            )
            for each in content["results"]
        ),
        "differences": tuple(
            Difference(**each | {"metrics": _estimates(each["metrics"])})
            for each in content["differences"]
        ),
        "activity": tuple(Activity(**each) for each in content["activity"]),
        "training": training and Training(**training | {"curve": tuple(training["curve"])}),
        "known_limits": tuple(content["known_limits"]),
    }


def _estimates(metrics: dict[str, dict[str, float]]) -> Estimates:
    return {name: Estimate(**estimate) for name, estimate in metrics.items()}
