"""Changes the catalogue of a published model: items come and go, and nothing is learnt."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recserve.artifact.v1 import manifest_pb2
from recserve_trainer.artifact.export import Artifact, publish
from recserve_trainer.artifact.manifest import library_versions
from recserve_trainer.artifact.restored import (
    PooledParts,
    RestoredModel,
    RestoredTables,
    restore_model,
    restore_tables,
)
from recserve_trainer.artifact.versions import Version, choose_version, read_versions
from recserve_trainer.catalogue_config import CatalogueConfig
from recserve_trainer.datasets.retired_items import read_retired_ids
from recserve_trainer.datasets.tabular.new_items import read_new_items
from recserve_trainer.errors import TrainerError
from recserve_trainer.features import encode, encode_in_pieces
from recserve_trainer.index_choice import choose_index
from recserve_trainer.interactions import Histories, entries_of
from recserve_trainer.learning.feature_rows import item_columns
from recserve_trainer.learning.item_tower import AttributeItemTower
from recserve_trainer.progress import Progress
from recserve_trainer.retrieval import Embeddings, RetrievalModel, Stages
from recserve_trainer.tables import Column, ItemTable

_WITH_ITEM_TOWER: Final = ("content", "hybrid")
"""Families that know items by attributes, and keep how."""


@dataclass(frozen=True, slots=True)
class ChangedCatalogue:
    """A version with another catalogue."""

    path: Path
    added: int
    retired: int


@dataclass(frozen=True, slots=True)
class _Change:
    kept: NDArray[np.intp]
    """Rows of the old catalogue, ascending."""
    new_items: ItemTable


def change_catalogue(config: CatalogueConfig, progress: Progress) -> ChangedCatalogue:
    """Publishes the next version: the same towers, new items at the end, retired ones left out.

    Vectors of users and of items that stay are not touched. Whatever fails, nothing is published.

    Raises:
        TrainerError: there is no such version, its family cannot do this, items to add are known
            or broken, or items to retire are unknown or all there are.
        ExportError: the version could not be written.
    """
    versions = read_versions(config.models_dir, config.name)
    version = choose_version(versions, config.version)
    _refuse(version, adds=config.new_items is not None)
    tables = restore_tables(version)
    progress.note(
        f"{config.name} version {version.number}, {version.manifest.model.kind}: "
        f"{len(tables.items):,} items, {len(tables.users):,} users"
    )
    change = _read_change(config, version, tables, progress)
    model = restore_model(version)
    _note_unknown(change.new_items, model, progress)
    artifact = _changed(tables, model, change)
    artifact = replace(artifact, manifest=_manifest(version, artifact, change))
    path = _publish(artifact, config, progress)
    return ChangedCatalogue(path, len(change.new_items), len(tables.items) - len(change.kept))


def _refuse(version: Version, *, adds: bool) -> None:
    model, place = version.manifest.model, f"version {version.number}"
    if model.ranking_candidates:
        raise TrainerError(
            f"{place} is a {model.kind} model, whose second stage is tied to its catalogue; train "
            "it again instead"
        )
    if not adds or model.item_features:
        return
    families = " and ".join(_WITH_ITEM_TOWER)
    if model.kind not in _WITH_ITEM_TOWER:
        raise TrainerError(
            f"{place} is a {model.kind} model, which knows items by their ids alone; items can be "
            f"added to {families} models"
        )
    raise TrainerError(
        f"{place} has no item tower: its items had no attributes in training, or it is older than "
        "item towers; train it again instead"
    )


def _read_change(
    config: CatalogueConfig, version: Version, tables: RestoredTables, progress: Progress
) -> _Change:
    retired = read_retired_ids(config.retired_files, config.retired_ids)
    row_of = {item_id: row for row, item_id in enumerate(tables.items.ids)}
    unknown = [item_id for item_id in retired if item_id not in row_of]
    if unknown:
        raise TrainerError(
            f"{len(unknown):,} of {len(retired):,} items to retire are not in version "
            f"{version.number}, the first {unknown[0]!r}"
        )
    if len(retired) == len(tables.items):
        raise TrainerError(f"all {len(retired):,} items would be retired; one must stay at least")
    new_items = ItemTable([], [])
    if config.new_items is not None:
        new_items = read_new_items(config.new_items, tables.items, progress)
    if not len(new_items) and not retired:
        raise TrainerError("there is nothing to do: no item is new and none is retired")
    is_kept = np.ones(len(tables.items), np.bool_)
    is_kept[[row_of[item_id] for item_id in retired]] = False
    return _Change(np.flatnonzero(is_kept), new_items)


def _note_unknown(new_items: ItemTable, model: RestoredModel, progress: Progress) -> None:
    """Tells of new items that nothing sets apart, so that nobody wonders at their rank."""
    if model.item_tower is None or not len(new_items):
        return
    features = model.item_tower.features
    of_nothing = encode(features, {}, 1)
    count = sum(
        int((encoded == of_nothing).all(axis=1).sum())
        for _, encoded in encode_in_pieces(features, item_columns(new_items), len(new_items))
    )
    if count:
        progress.note(
            f"of {count:,} new items no attribute and no word is known to the model: they all "
            "score alike"
        )


def _changed(tables: RestoredTables, model: RestoredModel, change: _Change) -> Artifact:
    """Puts the version together; its manifest is still empty."""
    vectors, query = model.embeddings.items[change.kept], model.query
    if query is not None:
        query = replace(query, history_vectors=query.history_vectors[change.kept])
    if model.item_tower is not None and len(change.new_items):
        added = _embedded(model.item_tower, change.new_items)
        vectors = np.concatenate([vectors, added])
        query = query and _with_items(query, model.item_tower.in_histories(added))
    stages = Stages(query.tower() if query else None, item_tower=model.item_tower)
    none_yet = np.zeros(len(change.new_items), np.int64)
    return Artifact(
        model=RetrievalModel(Embeddings(model.embeddings.users, vectors), stages),
        users=tables.users,
        histories=without_items(tables.histories, change.kept, len(tables.items)),
        items=_joined(tables.items, change),
        train_counts=np.concatenate([tables.train_counts[change.kept], none_yet]),
        manifest=manifest_pb2.Manifest(),
    )


def _embedded(tower: AttributeItemTower, items: ItemTable) -> NDArray[np.float32]:
    pieces = encode_in_pieces(tower.features, item_columns(items), len(items))
    return np.concatenate([tower.oracle(encoded) for _, encoded in pieces])


def _with_items(query: PooledParts, rows: NDArray[np.float32]) -> PooledParts:
    return replace(query, history_vectors=np.concatenate([query.history_vectors, rows]))


def without_items(histories: Histories, kept: NDArray[np.intp], item_count: int) -> Histories:
    """Drops the entries of items that leave, and renumbers the others.

    Args:
        histories: of the catalogue as it was.
        kept: its rows that stay, ascending; the first becomes row 0.
        item_count: rows that it had.
    """
    new_row_of = np.full(item_count, -1, np.int32)
    new_row_of[kept] = np.arange(len(kept), dtype=np.int32)
    item_rows = new_row_of[histories.item_rows]
    stays = item_rows >= 0
    user_rows, _ = entries_of(histories.offsets, np.arange(len(histories)))
    counts = np.bincount(user_rows[stays], minlength=len(histories))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    ratings = None if histories.ratings is None else histories.ratings[stays]
    return Histories(offsets, item_rows[stays], ratings)


def _joined(items: ItemTable, change: _Change) -> ItemTable:
    """Returns the items that stay, then the new ones."""
    ids, titles = ([each[row] for row in change.kept] for each in (items.ids, items.titles))
    rows = pa.array(change.kept, pa.int64())
    columns = {}
    for name, column in items.columns.items():
        values = column.values.take(rows)
        if name in change.new_items.columns:
            values = _concatenated(values, change.new_items.columns[name].values)
        columns[name] = Column(column.kind, values)
    return ItemTable(ids + change.new_items.ids, titles + change.new_items.titles, columns)


def _concatenated(old: Any, new: Any) -> Any:
    if old.type == new.type:
        return pa.concat_arrays([old, new])
    # Only numbers come here: floats stay as narrow as they are, and whole numbers whole.
    are_whole = pa.types.is_integer(old.type) and pa.types.is_integer(new.type)
    wider: Any = pa.int64() if are_whole else pa.float64()
    wider = old.type if pa.types.is_floating(old.type) else wider
    return pa.concat_arrays([old.cast(wider, safe=False), new.cast(wider, safe=False)])


def _manifest(version: Version, artifact: Artifact, change: _Change) -> manifest_pb2.Manifest:
    """Tells of the same training; nothing was measured, so the evaluations name their version."""
    manifest = manifest_pb2.Manifest()
    manifest.CopyFrom(version.manifest)
    retired = manifest.model.item_count - len(change.kept)
    manifest.model.item_count = len(artifact.items)
    manifest.library_versions.clear()
    manifest.library_versions.update(library_versions())
    told = manifest.training_arguments
    told["add_items.from_version"] = str(version.number)
    told["add_items.added"] = str(len(change.new_items))
    told["add_items.retired"] = str(retired)
    measured = told.get("add_items.evaluations_of_version", str(version.number))
    told["add_items.evaluations_of_version"] = measured
    return manifest


def _publish(artifact: Artifact, config: CatalogueConfig, progress: Progress) -> Path:
    choice = choose_index(config.index.kind, len(artifact.items))
    progress.note(f"index: {choice.kind}, {choice.reason}")
    progress.note("exporting, reloading and comparing with a brute force in NumPy")
    index = replace(config.index, kind=choice.kind)
    path = publish(replace(artifact, index=index), config.models_dir)
    if choice.kind == "scann":
        recall = artifact.manifest.index.recall_at_10
        progress.note(f"the index finds {recall:.4f} of the exact top 10")
    return path
