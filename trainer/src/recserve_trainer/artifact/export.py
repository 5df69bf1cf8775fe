"""Publishes a model version: written aside, checked, then moved into place in one step."""

import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from numpy.typing import NDArray

from recserve.artifact.v1 import manifest_pb2
from recserve_trainer.artifact.arrow_files import write_items, write_users
from recserve_trainer.artifact.card_files import (
    CARD_DIR,
    PROJECTOR_DIR,
    Evidence,
    model_card,
    write_card,
)
from recserve_trainer.artifact.golden import Known, write_golden
from recserve_trainer.artifact.parity import check_candidates, check_parity, check_vectors
from recserve_trainer.artifact.projector import write_projector
from recserve_trainer.artifact.score_distribution import score_percentiles
from recserve_trainer.artifact.search_parity import check_searches
from recserve_trainer.artifact.stage_parity import check_stages
from recserve_trainer.config import IndexConfig
from recserve_trainer.errors import ExportError
from recserve_trainer.index_choice import choose_index
from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.indexes.scann import ScannIndex
from recserve_trainer.indexes.scann_proposals import ScannConfig
from recserve_trainer.interactions import Histories
from recserve_trainer.retrieval import RetrievalModel
from recserve_trainer.tables import ItemTable, UserTable

MANIFEST: Final = "manifest.json"


@dataclass(frozen=True, slots=True)
class Artifact:
    """Everything that one version is made of."""

    model: RetrievalModel
    users: UserTable
    histories: Histories
    """What each user is taken to have seen."""
    items: ItemTable
    train_counts: NDArray[np.int64]
    """[items]: training interactions, the popularity that unknown users are served by."""
    manifest: manifest_pb2.Manifest
    """What is known of the model; version, files and index are filled in here."""
    index: IndexConfig = field(default_factory=IndexConfig)
    """How the catalogue is searched."""
    scann: ScannConfig | None = None
    """Settings of a `scann` index, None for the defaults of the catalogue's size."""
    card: Evidence | None = None
    """What the model card is made of; None for neither card nor projector files."""


def publish(artifact: Artifact, models_dir: Path) -> Path:
    """Writes MODELS/NAME/VERSION under the next free version and returns that folder.

    A reader sees all of the version or none of it: whatever fails, the folder that was being
    written is removed and earlier versions stay as they are.

    Raises:
        ExportError: no space, no permission, or the written model does not rank as the trainer,
            or its index finds too little.
        IndexUnavailableError: the index cannot be written here.
    """
    check_vectors(artifact.model.embeddings)
    model_dir = models_dir / artifact.manifest.model_name
    try:
        model_dir.mkdir(parents=True, exist_ok=True)
        with _scratch_dir(model_dir) as scratch:
            artifact.manifest.index.CopyFrom(_write_index(scratch, artifact))
            write_items(scratch / "items.arrow", artifact.items, artifact.train_counts)
            write_users(scratch / "users.arrow", artifact.users, artifact.histories)
            known = Known(artifact.users.ids, artifact.items.ids, artifact.histories)
            write_golden(scratch, artifact.model, known)
            _describe_scores(artifact)
            artifact.manifest.create_time.GetCurrentTime()
            if artifact.card is not None:
                _write_card(scratch, artifact, artifact.card)
            return _move_into_place(scratch, model_dir, artifact.manifest)
    except (OSError, tf.errors.OpError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.message
        raise ExportError(f"nothing was published to {model_dir}: {reason}") from error


def _write_index(folder: Path, artifact: Artifact) -> manifest_pb2.Index:
    """Writes the SavedModel and holds it against the trainer's own scores."""
    embeddings, stages = artifact.model.embeddings, artifact.model.stages
    histories = artifact.histories
    kind = choose_index(artifact.index.kind, len(embeddings.items)).kind
    if kind == "exact":
        ExactIndex(embeddings, stages).save(folder)
        check_parity(folder, embeddings, histories)
        check_searches(folder, embeddings, histories, is_exact=True)
        check_stages(folder, artifact.model, histories)
        return manifest_pb2.Index(kind=kind, recall_at_10=1.0)
    artifact.manifest.library_versions["scann"] = importlib.metadata.version("scann")
    ScannIndex(embeddings, artifact.scann, stages).save(folder)
    recall = check_candidates(folder, embeddings, histories)
    check_searches(folder, embeddings, histories, is_exact=False)
    check_stages(folder, artifact.model, histories)
    if recall < artifact.index.min_recall:
        raise ExportError(
            f"the scann index finds {recall:.4f} of the exact top 10, at least "
            f"{artifact.index.min_recall} is required; use --index exact, or accept less with "
            "--min-index-recall"
        )
    return manifest_pb2.Index(kind=kind, recall_at_10=recall)


def _describe_scores(artifact: Artifact) -> None:
    del artifact.manifest.model.score_percentiles[:]
    percentiles = score_percentiles(artifact.model.embeddings)
    artifact.manifest.model.score_percentiles.extend(percentiles)


def _write_card(folder: Path, artifact: Artifact, evidence: Evidence) -> None:
    write_card(folder / CARD_DIR, model_card(artifact.manifest, evidence))
    projector = folder / PROJECTOR_DIR
    projector.mkdir()
    vectors = artifact.model.embeddings.items
    write_projector(projector, artifact.items, vectors, artifact.train_counts)


@contextmanager
def _scratch_dir(model_dir: Path) -> Iterator[Path]:
    # On the same file system as its target, or it could not be renamed; hidden, and not a number,
    # so that no server takes it for a version.
    scratch = Path(tempfile.mkdtemp(prefix=".export-", dir=model_dir))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _move_into_place(scratch: Path, model_dir: Path, manifest: manifest_pb2.Manifest) -> Path:
    manifest.format_version = 1
    del manifest.files[:]
    manifest.files.extend(_describe(path, scratch) for path in _files(scratch))
    scratch.chmod(0o755)
    while True:
        manifest.model_version = _next_version(model_dir)
        target = model_dir / str(manifest.model_version)
        written = json_format.MessageToDict(manifest, preserving_proto_field_name=True)
        (scratch / MANIFEST).write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
        _flush(scratch)
        try:
            scratch.rename(target)
        except OSError:
            if not target.exists():
                raise
            continue  # another run took the number in between
        _sync(model_dir)
        return target


def _next_version(model_dir: Path) -> int:
    names = [path.name for path in model_dir.iterdir()]
    # What does not fit the manifest's int64 is no version.
    versions = [int(name) for name in names if name.isdecimal() and len(name) <= 18]
    return max(versions, default=0) + 1


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)


def _describe(path: Path, folder: Path) -> manifest_pb2.File:
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    relative = path.relative_to(folder).as_posix()
    return manifest_pb2.File(path=relative, size_bytes=path.stat().st_size, sha256=digest)


def _flush(folder: Path) -> None:
    """Forces the folder's content to disk: a version must not appear before what is in it."""
    for path in [*folder.rglob("*"), folder]:
        _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
