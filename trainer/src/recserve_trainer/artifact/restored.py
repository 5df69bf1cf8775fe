"""A published version read back, so that it can be published again without learning."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import tensorflow as tf
from numpy.typing import NDArray

from recserve.artifact.v1 import manifest_pb2
from recserve_trainer.artifact.versions import Version
from recserve_trainer.errors import TrainerError
from recserve_trainer.features import Feature
from recserve_trainer.index_choice import scann_library
from recserve_trainer.interactions import Histories
from recserve_trainer.learning.item_tower import AttributeItemTower
from recserve_trainer.learning.pooled_query import PooledQueryTower
from recserve_trainer.retrieval import Embeddings, Queries
from recserve_trainer.tables import RESERVED_COLUMNS, Column, ColumnKind, ItemTable, UserTable

_TOLERANCE: Final = 1e-3
"""By how much the restored query tower may differ, of the largest number of a query."""


@dataclass(frozen=True, slots=True)
class PooledParts:
    """What a `PooledQueryTower` is made of."""

    features: tuple[Feature, ...]
    history_vectors: NDArray[np.float32]
    """[items, dimension], what an item adds when in a history."""
    profile: tuple[NDArray[np.float32], NDArray[np.float32]]
    prior: float

    def tower(self) -> PooledQueryTower:
        """Makes the tower."""
        return PooledQueryTower(self.features, self.history_vectors, self.profile, self.prior)


@dataclass(frozen=True, slots=True)
class RestoredTables:
    """The catalogue and the users of a version."""

    items: ItemTable
    train_counts: NDArray[np.int64]
    """[items]."""
    users: UserTable
    histories: Histories


@dataclass(frozen=True, slots=True)
class RestoredModel:
    """The vectors of a version, and its towers as far as they have been kept in parts."""

    embeddings: Embeddings
    query: PooledParts | None
    """None if the version answers for known ids only."""
    item_tower: AttributeItemTower | None


def restore_tables(version: Version) -> RestoredTables:
    """Reads items.arrow and users.arrow.

    Raises:
        TrainerError: one of them cannot be read.
    """
    model = version.manifest.model
    items = _read(version.path / "items.arrow", ("item_id", "title", "train_count"))
    users = _read(version.path / "users.arrow", ("user_id", "history"))
    return RestoredTables(
        ItemTable(
            items["item_id"].to_pylist(),
            items["title"].to_pylist(),
            _attributes(items, model.item_features),
        ),
        items["train_count"].to_numpy().astype(np.int64),
        UserTable(users["user_id"].to_pylist(), _attributes(users, model.query_features)),
        _histories(users),
    )


def restore_model(version: Version) -> RestoredModel:
    """Loads the SavedModel and takes out what it was made of.

    Raises:
        TrainerError: it cannot be loaded, or has a query tower that is not pooled.
        IndexUnavailableError: it needs ScaNN, which is not here.
    """
    manifest = version.manifest
    if manifest.index.kind == "scann":
        scann_library()  # its operations must be known
    try:
        saved = tf.saved_model.load(str(version.path))
        embeddings = Embeddings(saved.user_embeddings.numpy(), saved.item_embeddings.numpy())
    except (OSError, ValueError, AttributeError, tf.errors.OpError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise TrainerError(f"the SavedModel in {version.path} cannot be read: {reason}") from error
    item_tower = None
    if manifest.model.item_features:
        features = features_of(manifest.model.item_features)
        item_tower = AttributeItemTower.restored(saved.item_tower, features)
    query = _pooled(saved, manifest) if "embed_queries" in saved.signatures else None
    return RestoredModel(embeddings, query, item_tower)


def features_of(told: Iterable[manifest_pb2.Feature]) -> tuple[Feature, ...]:
    """Returns features as towers have them."""
    return tuple(
        Feature(
            each.name, _kind_named(each.kind), tuple(each.vocabulary), each.mean, each.deviation
        )
        for each in told
    )


def _kind_named(name: str) -> ColumnKind:
    kinds: dict[str, ColumnKind] = {"number": "number", "category": "category", "text": "text"}
    if name not in kinds:
        raise TrainerError(
            f"the manifest has a feature of kind {name!r}, not of {', '.join(kinds)}"
        )
    return kinds[name]


def _read(path: Path, needed: Sequence[str]) -> dict[str, Any]:
    try:
        with pa.OSFile(str(path), "rb") as source:
            table = pa.ipc.open_file(source).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise TrainerError(f"{path} cannot be read: {error}") from error
    for name in needed:
        if name not in table.column_names:
            raise TrainerError(f"{path} has no column {name!r}, only {table.column_names}")
    return {name: table[name].combine_chunks() for name in table.column_names}


def _attributes(
    columns: dict[str, Any], features: Iterable[manifest_pb2.Feature]
) -> dict[str, Column]:
    kind_of = {feature.name: _kind_named(feature.kind) for feature in features}
    return {
        name: Column(kind_of.get(name) or _kind(values.type), values)
        for name, values in columns.items()
        if name not in RESERVED_COLUMNS
    }


def _kind(stored: pa.DataType) -> ColumnKind:
    """Returns what a column may be that no tower reads."""
    if pa.types.is_string(stored):
        return "text"
    return "category" if pa.types.is_list(stored) else "number"


def _histories(users: dict[str, Any]) -> Histories:
    history = users["history"]
    offsets = history.offsets.to_numpy().astype(np.int64)
    ratings = None
    if "history_rating" in users:
        ratings = users["history_rating"].flatten().to_numpy(zero_copy_only=False)
        ratings = ratings.astype(np.float32)
    return Histories(offsets - offsets[0], history.flatten().to_numpy().astype(np.int32), ratings)


def _pooled(saved: Any, manifest: manifest_pb2.Manifest) -> PooledParts:
    tower, arguments = saved.query_tower, manifest.training_arguments
    if not hasattr(tower, "_history_vectors"):
        raise TrainerError(
            f"a {manifest.model.kind} model is tied to its catalogue as a whole; train it again "
            "instead"
        )
    try:
        prior = float(arguments["history_prior"])
    except ValueError as error:
        raise TrainerError("the manifest tells no history_prior; train the model again") from error
    parts = PooledParts(
        features_of(manifest.model.query_features),
        tower._history_vectors.numpy(),
        (tower._weights.numpy(), tower._start.numpy()),
        prior,
    )
    _check(parts, saved.signatures["embed_queries"])
    return parts


def _check(parts: PooledParts, embed_queries: Any) -> None:
    """Makes sure that the tower was read as it was saved: of the prior only the manifest tells."""
    last = len(parts.history_vectors) - 1
    history = np.array([[0, 0], [1, 0], [1, last]][: 2 + bool(last)], np.int32)
    ratings = np.full(len(history), np.nan, np.float32)
    features = np.ones((3, sum(feature.width for feature in parts.features)), np.float32)
    expected = parts.tower().oracle(Queries(history, ratings, features))
    found = embed_queries(
        history=tf.constant(history), ratings=tf.constant(ratings), features=tf.constant(features)
    )["embeddings"].numpy()
    if not np.abs(found - expected).max() <= _TOLERANCE * np.abs(expected).max():
        raise TrainerError("the query tower is not as the manifest tells; train the model again")
