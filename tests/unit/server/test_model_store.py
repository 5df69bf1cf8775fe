from pathlib import Path

import numpy as np
import pytest

from recserve_server.errors import NotReady, UnknownModel
from recserve_server.model import Query
from recserve_server.model_store import ModelStore, NoModelError, State
from recserve_server.testing import MatrixModel, open_matrix, write_manifest

GOOD = MatrixModel(np.arange(6, dtype=np.float32).reshape(2, 3))
NOT_A_NUMBER = MatrixModel(np.full((2, 3), np.nan, np.float32))


def states(store: ModelStore) -> dict[tuple[str, int], State]:
    return {(each.location.name, each.location.version): each.state for each in store.versions()}


def test_the_newest_version_serves_and_older_ones_stay_available(tmp_path: Path) -> None:
    GOOD.publish(tmp_path, version=9)
    GOOD.publish(tmp_path, version=10)
    store = ModelStore(tmp_path, "", open_matrix)

    [ranking] = store.load().rank([Query("u0", 1)])

    assert ranking.model_version == 10
    assert states(store) == {("films", 10): State.SERVING, ("films", 9): State.AVAILABLE}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (NOT_A_NUMBER, "not numbers"),
        (MatrixModel(np.empty((2, 0), np.float32)), "empty ranking"),
        (MatrixModel(np.empty((0, 3), np.float32)), "holds no users"),
    ],
)
def test_a_version_that_fails_its_warm_up_gives_way_to_the_one_before(
    tmp_path: Path, bad: MatrixModel, reason: str
) -> None:
    GOOD.publish(tmp_path, version=1)
    bad.publish(tmp_path, version=2)
    store = ModelStore(tmp_path, "", open_matrix)

    store.load()

    assert store.serving().location.version == 1
    assert states(store)[("films", 2)] is State.REFUSED
    assert reason in store.version("films", 2).state_message


def test_a_first_user_who_has_seen_everything_is_no_reason_to_refuse(tmp_path: Path) -> None:
    MatrixModel(GOOD.scores, histories=[[0, 1, 2], []]).publish(tmp_path)
    store = ModelStore(tmp_path, "", open_matrix)

    [ranking] = store.load().rank([Query("u0", 3)])

    assert ranking.item_ids == []


def test_tables_that_disagree_with_the_manifest_are_refused(tmp_path: Path) -> None:
    folder = GOOD.publish(tmp_path)
    write_manifest(folder, user_count=5, item_count=3)

    with pytest.raises(NoModelError, match=r"3 items and 2 users, manifest.json says 3 and 5"):
        ModelStore(tmp_path, "", open_matrix).load()


def test_an_empty_folder_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(NoModelError, match=r"expected NAME/VERSION/manifest\.json"):
        ModelStore(tmp_path, "", open_matrix).load()


def test_several_models_need_a_choice(tmp_path: Path) -> None:
    GOOD.publish(tmp_path, "a")
    GOOD.publish(tmp_path, "b")

    with pytest.raises(NoModelError, match="choose one by name: a, b"):
        ModelStore(tmp_path, "", open_matrix).load()
    with pytest.raises(NoModelError, match="no model 'c', only a, b"):
        ModelStore(tmp_path, "c", open_matrix).load()
    chosen = ModelStore(tmp_path, "b", open_matrix)
    chosen.load()

    assert chosen.serving().location.name == "b"


def test_before_loading_nothing_serves(tmp_path: Path) -> None:
    with pytest.raises(NotReady):
        ModelStore(tmp_path, "", open_matrix).serving()


def test_names_and_versions_that_are_not_there_are_unknown(tmp_path: Path) -> None:
    GOOD.publish(tmp_path)
    store = ModelStore(tmp_path, "", open_matrix)
    store.load()

    with pytest.raises(UnknownModel):
        store.serving("books")
    with pytest.raises(UnknownModel):
        store.version("films", 2)
    assert store.version("", 1) is store.serving("films")
