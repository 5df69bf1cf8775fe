"""`recserve-train add-items`: what changes with the catalogue, and what does not."""

import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from published_world import ITEMS, NAME, USERS, Read, add_items, publish_world

from recserve_trainer.catalogue import without_items
from recserve_trainer.interactions import Histories

pytestmark = pytest.mark.tensorflow

NEW = """\
item_id,title,kind,year,maker,blurb
n2,Item 2000,y,,B,loud unheard
n1,Item 7,x,1990,A,calm
"""
"""In the catalogue's words but for "2000" and "unheard"; of kinds that users' tastes go by."""
RETIRED = ("i4", "i17", "i59")


@pytest.fixture(scope="module", params=["content", pytest.param("hybrid", marks=pytest.mark.long)])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    models_dir = tmp_path_factory.mktemp("models")
    publish_world(request.param, models_dir)
    return models_dir


@pytest.fixture(scope="module")
def old(trained: Path) -> Read:
    return Read.of(trained / NAME / "1")


@pytest.fixture(scope="module")
def both(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models folder after two items came and three left."""
    models_dir = tmp_path_factory.mktemp("both")
    shutil.copytree(trained, models_dir, dirs_exist_ok=True)
    (models_dir / "new.csv").write_text(NEW)
    (models_dir / "gone.txt").write_text(f"\ufeff{RETIRED[0]}\n\n  {RETIRED[1]} \r\n")
    run = ["--items", "new.csv", "--retire", "gone.txt", "--retire-id", RETIRED[2], RETIRED[0]]
    assert add_items(models_dir, *run) == 0
    return models_dir


@pytest.fixture(scope="module")
def new(both: Path) -> Read:
    return Read.of(both / NAME / "2")


@pytest.fixture
def models(trained: Path, tmp_path: Path) -> Path:
    """A models folder to write to."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    return tmp_path


def encoded(manifest: dict, item: dict) -> list[float]:
    """Encodes one item by what the proto says of features, and nothing else."""
    row: list[float] = []
    for feature in manifest["model"]["item_features"]:
        value = item.get(feature["name"])
        if feature["kind"] == "number":
            known = value is not None
            row += [(value - feature["mean"]) / feature["deviation"] if known else 0, not known]
            continue
        words = value if isinstance(value, list) else str(value).lower().split()
        words = [value] if feature["kind"] == "category" and isinstance(value, str) else words
        row += [float(word in words) for word in feature["vocabulary"]]
    return row


def test_new_items_stand_at_the_end_with_vectors_by_their_attributes(old: Read, new: Read) -> None:
    told = [
        {"title": "Item 7", "kind": ["x"], "maker": "A", "blurb": "calm", "year": 1990},
        {"title": "Item 2000", "kind": ["y"], "maker": "B", "blurb": "loud unheard"},
    ]
    features = np.array([encoded(old.manifest, item) for item in told], np.float32)
    weights = old.saved.item_tower.weights.numpy()

    assert new.ids[-2:] == ["n1", "n2"]
    assert new.item_vectors[-2:] == pytest.approx(features @ weights[:-1] + weights[-1], abs=1e-5)
    assert new.items["train_count"].to_pylist()[-2:] == [0, 0]
    assert new.items["kind"].to_pylist()[-2:] == [["x"], ["y"]]
    assert new.items["year"].to_pylist()[-2:] == [1990, None]
    assert new.items.schema == old.items.schema


def test_a_new_item_lies_near_old_ones_of_its_attributes(new: Read) -> None:
    vectors = new.item_vectors[:, :-1]
    kinds = np.array([kind[0] for kind in new.items["kind"].to_pylist()])
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    likeness = units[-2] @ units.T

    assert likeness[:-2][kinds[:-2] == "x"].mean() > 0.5
    assert likeness[:-2][kinds[:-2] == "y"].mean() < -0.5


def test_users_and_items_that_stay_keep_their_vectors_and_rows(old: Read, new: Read) -> None:
    stay = [row for row, item_id in enumerate(old.ids) if item_id not in RETIRED]

    assert new.ids[:-2] == [old.ids[row] for row in stay]
    assert np.array_equal(new.item_vectors[:-2], old.item_vectors[stay])
    assert np.array_equal(new.saved.user_embeddings, old.saved.user_embeddings)
    assert new.items.slice(0, ITEMS - 3).equals(old.items.take(stay))


def test_without_what_came_and_what_left_rankings_are_as_before(old: Read, new: Read) -> None:
    before, after = old.rankings(excluded=RETIRED), new.rankings(excluded=["n1", "n2"])

    assert [[item for item, _ in each] for each in after] == [
        [item for item, _ in each] for each in before
    ]
    assert [score for each in after for _, score in each] == pytest.approx(
        [score for each in before for _, score in each], abs=1e-6
    )


def test_new_items_are_recommended_and_retired_ones_never_are(new: Read) -> None:
    listed = [{item for item, _ in each} for each in new.rankings()]

    assert all(each == set(new.ids) for each in listed)
    assert not any(each & set(RETIRED) for each in listed)


def test_histories_hold_the_same_items_but_the_retired_ones(old: Read, new: Read) -> None:
    expected = [[each for each in history if each[0] not in RETIRED] for history in old.histories]

    assert new.histories == expected
    assert new.histories != old.histories  # somebody took what is retired


def test_a_history_of_items_that_stay_makes_the_same_query(old: Read, new: Read) -> None:
    histories = [["i0", "i5"], ["i58", "i18", "i3"], []]

    assert new.embed(*histories) == pytest.approx(old.embed(*histories), abs=1e-6)


def test_a_new_item_counts_in_a_history_by_the_formula_of_all_items(new: Read) -> None:
    weights = new.saved.item_tower.history_weights.numpy()
    prior = float(new.manifest["training_arguments"]["history_prior"])
    of_nothing, of_item = new.embed([], ["n1"])

    added = (new.item_vectors[-2, :-1] @ weights[:-1] + weights[-1]) / (1 + prior)

    assert (of_item - of_nothing)[:-1] == pytest.approx(added, abs=1e-5)


def test_the_manifest_tells_what_was_done_and_claims_no_new_results(old: Read, new: Read) -> None:
    before, after = old.manifest, new.manifest
    told = {
        "add_items.from_version": "1",
        "add_items.added": "2",
        "add_items.retired": "3",
        "add_items.evaluations_of_version": "1",
    }

    assert after["training_arguments"] == before["training_arguments"] | told
    for field in ("dataset", "evaluations", "library_versions", "index"):
        assert after[field] == before[field]
    assert (after["model_version"], after["model"]["item_count"]) == ("2", ITEMS - 1)
    for field in ("kind", "embedding_dimension", "user_count", "item_features"):
        assert after["model"][field] == before["model"][field]


def test_a_server_finds_the_version_complete_and_answers_with_it(both: Path) -> None:
    from recserve_server.model_process.loaded_model import LoadedModel
    from recserve_server.model_process.saved_model import SavedModel
    from recserve_server.models.artifact import find_versions, read_manifest, verify_files
    from recserve_server.query import Query

    version = find_versions(both)[0]
    manifest = read_manifest(version)
    verify_files(version.path, manifest)
    model = LoadedModel(version.path, manifest, SavedModel, [1, 4])
    model.warm_up(max_k=100)

    [answer] = model.answer([Query("u1", 100)])

    assert version.version == 2
    assert isinstance(answer, bytes)
    assert b"n1" in answer
    assert not re.search(rb"\bi17\b", answer)


def test_the_changed_version_can_be_changed_again(both: Path, new: Read, tmp_path: Path) -> None:
    shutil.copytree(both, tmp_path, dirs_exist_ok=True)
    (tmp_path / "more.csv").write_text(NEW.replace("n2,", "m2,").replace("n1,", "m1,"))

    assert add_items(tmp_path, "--items", "more.csv", "--retire-id", "n2") == 0

    third = Read.of(tmp_path / NAME / "3")
    assert third.ids == [*new.ids[:-2], "n1", "m1", "m2"]
    assert third.item_vectors[-2:] == pytest.approx(new.item_vectors[-2:], abs=1e-6)
    told = third.manifest["training_arguments"]
    assert told["add_items.from_version"] == "2"
    assert told["add_items.evaluations_of_version"] == "1"


def test_an_older_version_can_be_the_one_that_is_changed(both: Path, tmp_path: Path) -> None:
    shutil.copytree(both, tmp_path, dirs_exist_ok=True)

    assert add_items(tmp_path, "--version", "1", "--retire-id", "i0") == 0

    third = Read.of(tmp_path / NAME / "3")
    assert third.ids == [f"i{row}" for row in range(1, ITEMS)]


def test_what_was_done_is_said(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (models / "new.csv").write_text("id;colour;year\nn1;red;2001\n")
    (models / "schema.json").write_text('{"delimiter": ";"}')

    assert add_items(models, "--items", "new.csv", "--retire-id", "i1", "i2") == 0

    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "items: 1 added, 2 retired",
        f"published {NAME} version 2: {models / NAME / '2'}",
    ]
    assert f"{ITEMS} items, {USERS} users" in said.err
    assert "not in the catalogue and ignored: colour" in said.err
    assert "not in new.csv, unknown of all new items: kind, maker, blurb" in said.err


@pytest.mark.parametrize(
    ("columns", "kinds"),
    [
        ({"kind": ["x|y", "y"]}, [["x", "y"], ["y"]]),
        ({"kind": ["x; y", ""]}, [["x", "y"], None]),
        ({"kind": [["x", "y"], None]}, [["x", "y"], None]),
    ],
    ids=["bars", "semicolons", "lists"],
)
def test_several_values_are_read_as_in_own_tables(
    models: Path, columns: dict[str, list], kinds: list
) -> None:
    pq.write_table(pa.table({"sku": ["n1", "n2"], **columns}), models / "new.parquet")

    assert add_items(models, "--items", "new.parquet") == 0

    items = Read.of(models / NAME / "2").items
    assert items["kind"].to_pylist()[-2:] == kinds
    assert items["title"].to_pylist()[-2:] == ["n1", "n2"]


def test_whole_numbers_give_way_to_fractions(models: Path, old: Read) -> None:
    (models / "new.csv").write_text("id,year\nn1,1990.5\n")

    assert add_items(models, "--items", "new.csv") == 0

    years = Read.of(models / NAME / "2").items["year"]
    assert years.type == pa.float64()
    assert years.to_pylist() == [*old.items["year"].to_pylist(), 1990.5]


def test_new_items_that_nothing_is_known_of_are_told(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (models / "new.csv").write_text("id,kind\nn1,z\nn2,x\n")

    assert add_items(models, "--items", "new.csv") == 0

    assert "of 1 new items no attribute and no word is known" in capsys.readouterr().err


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sets(st.integers(0, 7)), min_size=1, max_size=5),
    st.sets(st.integers(0, 7), min_size=1),
)
def test_histories_without_some_items_are_those_of_the_items_that_stay(
    taken: list[set[int]], kept: set[int]
) -> None:
    rows = [sorted(each) for each in taken]
    flat = np.array([row for each in rows for row in each], np.int32)
    histories = Histories(np.cumsum([0, *map(len, rows)]), flat, flat.astype(np.float32))
    stay = sorted(kept)

    found = without_items(histories, np.array(stay), 8)

    assert [[stay[row] for row in found[user]] for user in range(len(rows))] == [
        [row for row in each if row in kept] for each in rows
    ]
    assert found.ratings is not None
    assert found.ratings.tolist() == [row for each in rows for row in each if row in kept]
