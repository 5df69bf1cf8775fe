"""Publishing when the disk fills up at any file, and when two runs publish at once."""

import contextlib
import json
import resource
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from recserve.artifact.v1 import manifest_pb2
from recserve_trainer.artifact import export
from recserve_trainer.artifact.export import Artifact, publish
from recserve_trainer.errors import ExportError
from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.interactions import Histories
from recserve_trainer.retrieval import Embeddings, RetrievalModel
from recserve_trainer.tables import ItemTable, UserTable

pytestmark = pytest.mark.tensorflow

ITEMS = 5


def artifact(*, length: int = 4, title: str = "title", arguments: int = 0) -> Artifact:
    random = np.random.default_rng(0)
    draw = lambda rows: random.normal(size=(rows, length)).astype(np.float32)  # noqa: E731
    ids = [str(row + 1) for row in range(ITEMS)]
    return Artifact(
        model=RetrievalModel(Embeddings(draw(3), draw(ITEMS))),
        users=UserTable(["1", "2", "3"]),
        histories=Histories(np.array([0, 1, 1, 2]), np.array([0, 1], np.int32)),
        items=ItemTable(ids, [title] * ITEMS),
        train_counts=np.ones(ITEMS, np.int64),
        manifest=manifest_pb2.Manifest(
            model_name="films",
            training_arguments={f"argument_{n}": "x" * 100 for n in range(arguments)},
        ),
    )


@contextlib.contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """Stands in for a full disk: a write past this size fails, whoever runs it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("too_large", "content"),
    [
        ("variables/variables.data-00000-of-00001", {"length": 500}),
        ("items.arrow", {"title": "x" * 100_000}),
        ("manifest.json", {"arguments": 5000}),
    ],
)
def test_no_space_for_a_file_is_told_in_one_line_and_leaves_nothing(
    tmp_path: Path, too_large: str, content: dict
) -> None:
    first = publish(artifact(**content), tmp_path)
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    sizes = sorted((path.stat().st_size, path.relative_to(first).as_posix()) for path in before)
    (fits, _), (_, largest) = sizes[-2:]
    assert largest == too_large  # or another file would be the one that fails

    with files_of_at_most(fits), pytest.raises(ExportError) as caught:
        publish(artifact(**content), tmp_path)

    assert str(caught.value).startswith(f"nothing was published to {tmp_path / 'films'}: ")
    assert "too large" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "films").iterdir()] == ["1"]
    assert {path: path.read_bytes() for path in before} == before


def test_two_runs_that_choose_the_same_number_publish_two_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[int] = []
    both_have_chosen, one_at_a_time = threading.Barrier(2, timeout=60), threading.Lock()
    next_version, save, check = export._next_version, ExactIndex.save, export.check_parity

    def choose_together(model_dir: Path) -> int:
        version = next_version(model_dir)
        chosen.append(version)
        if len(chosen) <= 2:
            both_have_chosen.wait()
        return version

    def save_alone(index: ExactIndex, folder: Path) -> None:
        with one_at_a_time:  # two real runs are two processes; TensorFlow need not share one
            save(index, folder)

    def check_alone(*arguments: object) -> None:
        with one_at_a_time:
            check(*arguments)

    monkeypatch.setattr(export, "_next_version", choose_together)
    monkeypatch.setattr(ExactIndex, "save", save_alone)
    monkeypatch.setattr(export, "check_parity", check_alone)

    with ThreadPoolExecutor(2) as runs:
        folders = list(runs.map(lambda run: publish(artifact(title=run), tmp_path), ["a", "b"]))

    assert chosen == [1, 1, 2]
    assert {folder.name for folder in folders} == {"1", "2"}
    assert {path.name for path in (tmp_path / "films").iterdir()} == {"1", "2"}
    for folder in folders:
        manifest = json.loads((folder / "manifest.json").read_text())
        assert manifest["model_version"] == folder.name
