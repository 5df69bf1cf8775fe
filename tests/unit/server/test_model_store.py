from pathlib import Path

import numpy as np
import pytest

from recserve.artifact.v1 import manifest_pb2
from recserve.v1 import recommendation_service_pb2 as pb
from recserve_server.config import ServerConfig
from recserve_server.errors import NotReady, UnknownModel
from recserve_server.matrix_model import MatrixModel, open_matrix, write_manifest
from recserve_server.models.store import ModelStore, NoModelError
from recserve_server.models.version import State
from recserve_server.query import Query
from recserve_server.testing import open_with

GOOD = MatrixModel(np.arange(6, dtype=np.float32).reshape(2, 3))
NOT_A_NUMBER = MatrixModel(np.full((2, 3), np.nan, np.float32))


def store_of(models_dir: Path, name: str = "") -> ModelStore:
    return ModelStore(ServerConfig(models_dir=models_dir, name=name), open_with(open_matrix))


async def answer(store: ModelStore, query: Query) -> pb.RecommendResponse:
    with store.lineup().route(0, "", query.user_id) as live:
        return pb.RecommendResponse.FromString(await live.batcher.submit(query))


def states(store: ModelStore) -> dict[tuple[str, int], State]:
    return {(each.location.name, each.number): each.state for each in store.versions()}


async def test_the_newest_version_serves_and_older_ones_stay_available(tmp_path: Path) -> None:
    GOOD.publish(tmp_path, version=9)
    GOOD.publish(tmp_path, version=10)
    store = store_of(tmp_path)

    await store.load()

    assert (await answer(store, Query("u0", 1))).model_version == 10
    assert states(store) == {("films", 10): State.SERVING, ("films", 9): State.AVAILABLE}
    await store.end()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (NOT_A_NUMBER, "not numbers"),
        (MatrixModel(np.empty((2, 0), np.float32)), "holds no items"),
        (MatrixModel(np.empty((0, 3), np.float32)), "holds no users"),
    ],
)
async def test_a_version_that_fails_its_warm_up_gives_way_to_the_one_before(
    tmp_path: Path, bad: MatrixModel, reason: str
) -> None:
    GOOD.publish(tmp_path, version=1)
    bad.publish(tmp_path, version=2)
    store = store_of(tmp_path)

    await store.load()

    assert store.version("", 0).number == 1
    assert states(store)[("films", 2)] is State.REFUSED
    assert reason in store.version("films", 2).state_message
    await store.end()


async def test_a_first_user_who_has_seen_everything_is_no_reason_to_refuse(
    tmp_path: Path,
) -> None:
    MatrixModel(GOOD.scores, histories=[[0, 1, 2], []]).publish(tmp_path)
    store = store_of(tmp_path)

    await store.load()

    assert not (await answer(store, Query("u0", 3))).items
    await store.end()


async def test_tables_that_disagree_with_the_manifest_are_refused(tmp_path: Path) -> None:
    folder = GOOD.publish(tmp_path)
    write_manifest(folder, manifest_pb2.Model(user_count=5, item_count=3))

    with pytest.raises(NoModelError, match=r"3 items and 2 users, manifest.json says 3 and 5"):
        await store_of(tmp_path).load()


async def test_an_empty_folder_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(NoModelError, match=r"expected NAME/VERSION/manifest\.json"):
        await store_of(tmp_path).load()


async def test_several_models_need_a_choice(tmp_path: Path) -> None:
    GOOD.publish(tmp_path, "a")
    GOOD.publish(tmp_path, "b")

    with pytest.raises(NoModelError, match="choose by name: a, b"):
        await store_of(tmp_path).load()
    with pytest.raises(NoModelError, match="no model 'c', only a, b"):
        await store_of(tmp_path, "a,c").load()


@pytest.mark.parametrize("names", ["b", "b,a"])
async def test_the_first_model_named_answers_who_names_none(tmp_path: Path, names: str) -> None:
    GOOD.publish(tmp_path, "a")
    GOOD.publish(tmp_path, "b")
    store = store_of(tmp_path, names)

    await store.load()

    assert (await answer(store, Query("u0", 1))).model_name == "b"
    assert [each.name for each in store.lineups] == names.split(",")
    await store.end()


async def test_before_loading_nothing_serves(tmp_path: Path) -> None:
    with pytest.raises(NotReady):
        store_of(tmp_path).lineup()


async def test_names_and_versions_that_are_not_there_are_unknown(tmp_path: Path) -> None:
    GOOD.publish(tmp_path)
    store = store_of(tmp_path)
    await store.load()

    with pytest.raises(UnknownModel):
        store.lineup("books")
    with pytest.raises(UnknownModel):
        store.version("films", 2)
    assert store.version("", 1) is store.version("films", 0)
    await store.end()
