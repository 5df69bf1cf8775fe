"""What a version's folder holds when it is published with a model card."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from recserve.artifact.v1 import manifest_pb2
from recserve_trainer.artifact.card_files import Evidence
from recserve_trainer.artifact.card_results import measure
from recserve_trainer.artifact.export import Artifact, publish
from recserve_trainer.artifact.model_card import ModelCard
from recserve_trainer.errors import ExportError
from recserve_trainer.evaluation.split import Split
from recserve_trainer.interactions import Dataset, Histories, Interactions
from recserve_trainer.retrieval import Embeddings, RetrievalModel
from recserve_trainer.tables import ItemTable, UserTable, number_column

pytestmark = pytest.mark.tensorflow

USERS, ITEMS = 5, 8
USER_IDS = [f"person-{row}" for row in range(USERS)]


def artifact() -> Artifact:
    random = np.random.default_rng(0)
    draw = lambda rows: random.normal(size=(rows, 4)).astype(np.float32)  # noqa: E731
    embeddings = Embeddings(draw(USERS), draw(ITEMS))
    users, items = np.divmod(random.permutation(USERS * ITEMS)[:24].astype(np.int32), ITEMS)
    everything = Interactions(users, items, np.ones(24, np.float32), np.arange(24))
    parts = [everything.take(np.arange(start, start + 8)) for start in (0, 8, 16)]
    dataset = Dataset(
        "invented",
        "1",
        UserTable(USER_IDS),
        ItemTable(
            [f"item-{row}" for row in range(ITEMS)],
            ["tab\there", "line\nhere", *["plain"] * (ITEMS - 2)],
            {"year": number_column([None, *range(1990, 1989 + ITEMS)])},
        ),
        everything,
    )
    seen = Histories.of(USERS, *parts[:2])
    measured = measure(dataset, Split(*parts, "random"), seen, {"model": embeddings.score})
    return Artifact(
        model=RetrievalModel(embeddings),
        users=dataset.users,
        histories=seen,
        items=dataset.items,
        train_counts=np.arange(ITEMS),
        manifest=manifest_pb2.Manifest(model_name="films"),
        card=Evidence(measured, 1, [{"loss": 2.0}, {"loss": 1.0}]),
    )


def test_card_and_projector_are_listed_in_the_manifest(tmp_path: Path) -> None:
    folder = publish(artifact(), tmp_path)

    manifest = json.loads((folder / "manifest.json").read_text())
    assert {
        "card/model_card.json",
        "card/model_card.md",
        "card/precision_recall.png",
        "card/training_curve.png",
        "projector/metadata.tsv",
        "projector/projector_config.pbtxt",
        "projector/vectors.tsv",
    } < {file["path"] for file in manifest["files"]}


def test_the_card_tells_of_the_index_and_the_time_in_the_manifest(tmp_path: Path) -> None:
    folder = publish(artifact(), tmp_path)

    manifest = json.loads((folder / "manifest.json").read_text())
    card = ModelCard.from_json((folder / "card" / "model_card.json").read_text())
    assert card.create_time == manifest["create_time"]
    assert (card.index_kind, card.index_recall_at_10) == ("exact", 1.0)


def test_the_projector_shows_the_vectors_and_ids_of_the_items_served(tmp_path: Path) -> None:
    folder = publish(artifact(), tmp_path)

    vectors = np.loadtxt(folder / "projector" / "vectors.tsv", delimiter="\t", dtype=np.float32)
    np.testing.assert_array_equal(vectors, artifact().model.embeddings.items)
    lines = (folder / "projector" / "metadata.tsv").read_text().splitlines()[1:]
    served = pa.ipc.open_file(str(folder / "items.arrow")).read_all()["item_id"].to_pylist()
    assert [line.split("\t")[0] for line in lines] == served


def test_nothing_of_a_user_is_in_card_or_projector(tmp_path: Path) -> None:
    folder = publish(artifact(), tmp_path)

    assert USER_IDS[0].encode() in (folder / "users.arrow").read_bytes()
    for path in [*(folder / "card").iterdir(), *(folder / "projector").iterdir()]:
        assert b"person-" not in path.read_bytes(), path


def test_a_card_that_cannot_be_written_leaves_no_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **settings: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)

    with pytest.raises(ExportError, match="No space left"):
        publish(artifact(), tmp_path)

    assert list((tmp_path / "films").iterdir()) == []


def test_without_evidence_there_is_no_card(tmp_path: Path) -> None:
    plain = artifact()
    folder = publish(
        Artifact(
            model=plain.model,
            users=plain.users,
            histories=plain.histories,
            items=plain.items,
            train_counts=plain.train_counts,
            manifest=plain.manifest,
        ),
        tmp_path,
    )

    assert not (folder / "card").exists()
    assert not (folder / "projector").exists()
