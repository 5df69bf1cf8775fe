"""Which families' catalogues `recserve-train add-items` can change, and which it cannot."""

import importlib.util
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from published_world import NAME, Read, add_items, assert_refused, publish_world

pytestmark = [pytest.mark.tensorflow, pytest.mark.long]


class LastFirst(tf.Module):
    """A second stage that puts high rows first."""

    candidates = 5

    def rank(self, user_rows: Any, item_rows: Any, retrieval_scores: Any) -> Any:
        return tf.cast(item_rows, tf.float32)

    def oracle(self, user_rows: Any, item_rows: Any, retrieval_scores: Any) -> Any:
        return item_rows.astype(np.float32)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One models folder per family."""
    folder = tmp_path_factory.mktemp("families")
    for family in ("collaborative", "history-softmax", "history", "popularity"):
        publish_world(family, folder / family)
    publish_world("collaborative", folder / "ranked", LastFirst())
    return folder


@pytest.mark.parametrize(
    ("family", "said"),
    [
        (
            "collaborative",
            "version 1 is a collaborative model, which knows items by their ids alone; items can "
            "be added to content and hybrid models",
        ),
        (
            "history",
            "version 1 is a history model, which knows items by their ids alone; items can be "
            "added to content and hybrid models",
        ),
        (
            "ranked",
            "version 1 is a collaborative model, whose second stage is tied to its catalogue; "
            "train it again instead",
        ),
    ],
)
def test_a_family_that_cannot_embed_new_items_refuses_them(
    trained: Path, capsys: pytest.CaptureFixture[str], family: str, said: str
) -> None:
    (trained / family / "new.csv").write_text("id\nn1\n")

    assert_refused(trained / family, ["--items", "new.csv"], said, capsys)


@pytest.mark.parametrize(
    ("family", "said"),
    [
        (
            family,
            f"a {family} model is tied to its catalogue as a whole; train it again instead",
        )
        for family in ("history", "popularity")
    ]
    + [
        (
            "ranked",
            "version 1 is a collaborative model, whose second stage is tied to its catalogue; "
            "train it again instead",
        )
    ],
)
def test_a_family_that_is_tied_to_its_catalogue_retires_nothing(
    trained: Path, capsys: pytest.CaptureFixture[str], family: str, said: str
) -> None:
    assert_refused(trained / family, ["--retire-id", "i1"], said, capsys)


@pytest.mark.parametrize("family", ["collaborative", "history-softmax"])
def test_a_family_of_ids_with_a_pooled_query_tower_retires_items(
    trained: Path, tmp_path: Path, family: str
) -> None:
    shutil.copytree(trained / family, tmp_path, dirs_exist_ok=True)
    old = Read.of(tmp_path / NAME / "1")

    assert add_items(tmp_path, "--retire-id", "i1") == 0

    new = Read.of(tmp_path / NAME / "2")
    assert new.ids == [each for each in old.ids if each != "i1"]
    assert new.embed(["i2", "i7"]) == pytest.approx(old.embed(["i2", "i7"]), abs=1e-6)


@pytest.mark.skipif(
    importlib.util.find_spec("scann") is None,
    reason="scann is not installed: the extra is for Linux x86_64 only",
)
def test_an_index_by_scann_is_written_and_read_again(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "collaborative", tmp_path, dirs_exist_ok=True)
    scann = ["--index", "scann", "--min-index-recall", "0"]

    assert add_items(tmp_path, "--retire-id", "i1", *scann) == 0
    assert add_items(tmp_path, "--retire-id", "i2", "--index", "exact") == 0

    second, third = (Read.of(tmp_path / NAME / version) for version in "23")
    assert [each.manifest["index"]["kind"] for each in (second, third)] == ["scann", "exact"]
    assert "scann" in second.manifest["library_versions"]
    assert "scann" not in third.manifest["library_versions"]
    assert np.array_equal(third.item_vectors, np.delete(second.item_vectors, 1, axis=0))
