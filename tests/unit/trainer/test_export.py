import hashlib
import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from recserve.artifact.v1 import manifest_pb2
from recserve_trainer.artifact import export
from recserve_trainer.artifact.export import Artifact, publish
from recserve_trainer.errors import ExportError
from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.interactions import Histories
from recserve_trainer.retrieval import Embeddings, RetrievalModel
from recserve_trainer.tables import ItemTable, UserTable, category_column, number_column

pytestmark = pytest.mark.tensorflow

HISTORIES = [[0, 2], [], [1]]


def artifact() -> Artifact:
    random = np.random.default_rng(0)
    draw = lambda rows: random.normal(size=(rows, 4)).astype(np.float32)  # noqa: E731
    return Artifact(
        model=RetrievalModel(Embeddings(draw(3), draw(5))),
        users=UserTable(["1", "2", "10"]),
        histories=Histories(
            np.array([0, 2, 2, 3]), np.array([0, 2, 1], np.int32), np.array([4, 1.5, 5], np.float32)
        ),
        items=ItemTable(
            ["1", "2", "3", "4", "5"],
            ["A (1995)", "B", "B", "Ünïcode (2001)", ""],
            {
                "year": number_column([1995, None, None, 2001, None]),
                "genres": category_column([["Drama"], [], ["Comedy", "Drama"], [], []]),
            },
        ),
        train_counts=np.array([3, 0, 2, 1, 1]),
        manifest=manifest_pb2.Manifest(model_name="films"),
    )


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_versions_count_up_past_the_highest_number(tmp_path: Path) -> None:
    for name in ("2", "logs", "7x", "9" * 20):
        (tmp_path / "films" / name).mkdir(parents=True)

    published = [publish(artifact(), tmp_path).name for _ in range(2)]

    assert published == ["3", "4"]
    assert names(tmp_path / "films") == {"2", "3", "4", "logs", "7x", "9" * 20}


def test_the_manifest_lists_every_file_as_it_is(tmp_path: Path) -> None:
    folder = publish(artifact(), tmp_path)

    manifest = json.loads((folder / "manifest.json").read_text())
    listed = {file["path"]: file for file in manifest["files"]}
    present = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert set(listed) == set(present)
    for path, content in present.items():
        assert listed[path]["size_bytes"] == str(len(content))
        assert listed[path]["sha256"] == hashlib.sha256(content).hexdigest()
    assert (manifest["format_version"], manifest["model_version"]) == (1, "1")


def test_the_tables_read_back_as_they_were(tmp_path: Path) -> None:
    folder, written = publish(artifact(), tmp_path), artifact()

    items = pa.ipc.open_file(str(folder / "items.arrow")).read_all().to_pydict()
    users = pa.ipc.open_file(str(folder / "users.arrow")).read_all().to_pydict()

    assert items == {
        "item_id": written.items.ids,
        "title": written.items.titles,
        "train_count": written.train_counts.tolist(),
        "year": [1995, None, None, 2001, None],
        "genres": [["Drama"], [], ["Comedy", "Drama"], [], []],
    }
    assert users == {
        "user_id": written.users.ids,
        "history": HISTORIES,
        "history_rating": [[4, 1.5], [], [5]],
    }


def test_where_there_are_no_ratings_the_column_of_them_holds_nan(tmp_path: Path) -> None:
    unrated = artifact()
    histories = Histories(unrated.histories.offsets, unrated.histories.item_rows)

    folder = publish(replace(unrated, histories=histories), tmp_path)

    ratings = pa.ipc.open_file(str(folder / "users.arrow")).read_all()["history_rating"]
    assert ratings.type == pa.large_list(pa.float32())
    assert ratings.null_count == 0
    assert [len(each) for each in ratings.to_pylist()] == [2, 0, 1]
    assert np.isnan(np.concatenate(ratings.to_pylist())).all()


def test_the_manifest_tells_the_distribution_of_scores_afresh_each_time(tmp_path: Path) -> None:
    twice = artifact()

    folders = [publish(twice, tmp_path) for _ in range(2)]

    first, second = (
        json.loads((folder / "manifest.json").read_text())["model"]["score_percentiles"]
        for folder in folders
    )
    scores = twice.model.embeddings.score(np.arange(3))
    assert first == second
    assert first[50] == {"percent": 50.0, "score": pytest.approx(np.median(scores))}
    assert first[-1]["score"] == pytest.approx(scores.max())


def save_another_model(index: ExactIndex, folder: Path) -> None:
    index.item_embeddings.assign(-index.item_embeddings)
    original_save(index, folder)


def fail_with(error: BaseException):
    def save(index: ExactIndex, folder: Path) -> None:
        (folder / "saved_model.pb").write_bytes(b"half")
        raise error

    return save


original_save = ExactIndex.save


@pytest.mark.parametrize(
    ("save", "raised", "reason"),
    [
        (save_another_model, ExportError, "unlike the trainer"),
        (fail_with(OSError(28, "No space left on device")), ExportError, "No space left"),
        (fail_with(KeyboardInterrupt()), KeyboardInterrupt, None),
    ],
)
def test_whatever_fails_no_half_version_is_left(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    save: object,
    raised: type[BaseException],
    reason: str | None,
) -> None:
    publish(artifact(), tmp_path)
    monkeypatch.setattr(ExactIndex, "save", save)

    with pytest.raises(raised, match=reason):
        publish(artifact(), tmp_path)

    assert names(tmp_path / "films") == {"1"}


def test_a_models_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")

    with pytest.raises(ExportError, match="nothing was published to") as caught:
        publish(artifact(), tmp_path / "models")

    assert "\n" not in str(caught.value)


def test_a_number_taken_in_between_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_look = threading.Event()
    original = export._next_version

    def taken_after_the_first_look(model_dir: Path) -> int:
        version = original(model_dir)
        if not first_look.is_set():
            first_look.set()
            (model_dir / str(version)).mkdir()
            (model_dir / str(version) / "manifest.json").write_text("{}")
        return version

    monkeypatch.setattr(export, "_next_version", taken_after_the_first_look)

    folder = publish(artifact(), tmp_path)

    assert folder.name == "2"
    assert json.loads((folder / "manifest.json").read_text())["model_version"] == "2"
    assert (tmp_path / "films" / "1" / "manifest.json").read_text() == "{}"
