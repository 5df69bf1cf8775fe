"""Which index a version is published with, and which is refused; from plain arrays, untrained."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from recserve.artifact.v1 import manifest_pb2
from recserve_trainer import index_choice
from recserve_trainer.artifact import export
from recserve_trainer.artifact.export import Artifact, publish
from recserve_trainer.config import IndexConfig
from recserve_trainer.datasets.clustered import clustered_vectors
from recserve_trainer.errors import ExportError, IndexUnavailableError
from recserve_trainer.indexes.scann_proposals import ScannConfig
from recserve_trainer.interactions import Histories
from recserve_trainer.retrieval import Embeddings, RetrievalModel
from recserve_trainer.tables import ItemTable, UserTable

pytestmark = pytest.mark.tensorflow
needs_scann = pytest.mark.skipif(
    importlib.util.find_spec("scann") is None,
    reason="scann is not installed: the extra is for Linux x86_64 only",
)

USERS, ITEMS = 30, 3000


def artifact(kind: str, scann: ScannConfig | None = None, min_recall: float = 0.95) -> Artifact:
    items = clustered_vectors(ITEMS, 16, seed=1, clusters=50)
    ids = [str(row) for row in range(ITEMS)]
    return Artifact(
        model=RetrievalModel(
            Embeddings(clustered_vectors(USERS, 16, seed=1, part=1, clusters=50), items)
        ),
        users=UserTable(ids[:USERS]),
        histories=Histories(np.arange(USERS + 1), np.arange(USERS, dtype=np.int32)),
        items=ItemTable(ids, ids),
        train_counts=np.ones(ITEMS, np.int64),
        manifest=manifest_pb2.Manifest(model_name="films"),
        index=IndexConfig(kind=kind, min_recall=min_recall),
        scann=scann,
    )


def published_index(folder: Path) -> dict:
    return json.loads((folder / "manifest.json").read_text())["index"]


@needs_scann
def test_a_scann_index_is_published_with_the_recall_that_was_measured(tmp_path: Path) -> None:
    thorough = ScannConfig(leaves=50, leaves_to_search=40, exact_share=8)

    index = published_index(publish(artifact("scann", thorough), tmp_path))

    assert index["kind"] == "scann"
    assert 0.95 <= index["recall_at_10"] <= 1


@pytest.mark.long
@needs_scann
def test_an_index_that_finds_too_little_is_refused_with_what_to_do(tmp_path: Path) -> None:
    hasty = ScannConfig(
        leaves=50, leaves_to_search=1, candidates=10, candidates_per_k=1, exact_share=8
    )

    with pytest.raises(ExportError) as refused:
        publish(artifact("scann", hasty), tmp_path)

    before, measured, after = str(refused.value).partition("0.")
    assert before == "the scann index finds "
    assert float(measured + after.split()[0]) < 0.95
    assert after.endswith(
        " of the exact top 10, at least 0.95 is required; use --index exact, or accept less with "
        "--min-index-recall"
    )
    assert list((tmp_path / "films").iterdir()) == []


@needs_scann
@pytest.mark.long
def test_less_is_published_if_less_is_accepted(tmp_path: Path) -> None:
    hasty = ScannConfig(
        leaves=50, leaves_to_search=1, candidates=10, candidates_per_k=1, exact_share=8
    )

    index = published_index(publish(artifact("scann", hasty, min_recall=0.1), tmp_path))

    assert 0.1 <= index["recall_at_10"] < 0.95


@needs_scann
@pytest.mark.long
def test_auto_becomes_scann_above_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_choice, "EXACT_ITEMS", ITEMS - 1)

    assert published_index(publish(artifact("auto", min_recall=0), tmp_path))["kind"] == "scann"


@pytest.mark.parametrize("kind", ["auto", "exact"])
def test_an_exact_index_is_published_as_finding_all(tmp_path: Path, kind: str) -> None:
    folder = publish(artifact(kind), tmp_path)

    assert published_index(folder) == {"kind": "exact", "recall_at_10": 1.0}


def test_scann_where_it_cannot_be_imported_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_choice.importlib, "import_module", no_module)

    with pytest.raises(IndexUnavailableError, match=r"cannot be used here \(no scann\); install"):
        publish(artifact("scann"), tmp_path)

    assert list((tmp_path / "films").iterdir()) == []


def no_module(name: str) -> None:
    raise ModuleNotFoundError("no scann")


def test_vectors_that_are_not_numbers_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # ScaNN would end the process over them.
    monkeypatch.setattr(export, "_write_index", None)
    diverged = artifact("scann")
    diverged.model.embeddings.items[3, 3] = np.nan

    with pytest.raises(ExportError, match="the model diverged"):
        publish(diverged, tmp_path)

    assert list(tmp_path.iterdir()) == []
