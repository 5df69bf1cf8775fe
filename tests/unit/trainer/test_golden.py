"""The queries of golden.json: who asks, and what the trainer's own numbers answer."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from golden_world import array_artifact, read_golden

from recserve.artifact.v1 import manifest_pb2
from recserve_trainer.artifact.export import Artifact, publish
from recserve_trainer.artifact.golden import Known, golden_queries
from recserve_trainer.interactions import Histories
from recserve_trainer.retrieval import Embeddings, Queries, RetrievalModel

pytestmark = pytest.mark.tensorflow

USERS, ITEMS = 200, 300


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    """Users have seen seven items each, the first nothing, the last everything."""
    random = np.random.default_rng(0)
    some = [sorted(random.choice(ITEMS, 7, replace=False).tolist()) for _ in range(USERS - 2)]
    return array_artifact(USERS, ITEMS, [[], *some, list(range(ITEMS))])


@pytest.fixture(scope="module")
def folder(artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(artifact, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def golden(folder: Path) -> manifest_pb2.GoldenQueries:
    return read_golden(folder)


def known(artifact: Artifact) -> Known:
    return Known(artifact.users.ids, artifact.items.ids, artifact.histories)


def row(name: str) -> int:
    return int(name[1:])


def assert_best(
    query: manifest_pb2.GoldenQuery, scores: np.ndarray, seen: np.ndarray, k: int = 10
) -> None:
    """Sorts the catalogue by scores float32 [items], and leaves out what was seen."""
    allowed = np.ones(len(scores), bool)
    allowed[seen] = query.include_seen
    best = [item for item in np.argsort(-scores, kind="stable").tolist() if allowed[item]][:k]
    assert [row(item_id) for item_id in query.item_ids] == best
    assert list(query.scores) == pytest.approx(scores[best], abs=1e-6)


def test_users_from_the_first_to_the_last_are_asked_for_by_id(
    golden: manifest_pb2.GoldenQueries,
) -> None:
    rows = sorted(row(query.user_id) for query in golden.queries if query.user_id)

    assert len(set(rows)) == len(rows) == 64
    assert (rows[0], rows[-1]) == (0, USERS - 1)
    assert max(np.diff(rows)) <= 4


def test_half_of_the_users_and_of_the_strangers_may_get_back_what_they_have_seen(
    golden: manifest_pb2.GoldenQueries,
) -> None:
    asked = [(bool(query.user_id), query.include_seen) for query in golden.queries]

    counts = {each: asked.count(each) for each in asked}
    assert counts == {(True, False): 32, (True, True): 32, (False, False): 8, (False, True): 8}


def test_answers_to_users_are_the_best_by_inner_product(
    artifact: Artifact, golden: manifest_pb2.GoldenQueries
) -> None:
    vectors = artifact.model.embeddings
    for query in golden.queries:
        if query.user_id:
            user = row(query.user_id)
            scores = vectors.items @ vectors.users[user]
            assert_best(query, scores, artifact.histories[user])


def test_strangers_bring_the_first_items_that_some_user_rated_as_told(
    artifact: Artifact, golden: manifest_pb2.GoldenQueries
) -> None:
    firsts = {
        tuple((item, 1 + item % 5) for item in artifact.histories[user][:5].tolist())
        for user in range(USERS)
    }

    brought = [
        tuple((row(each.item_id), each.rating) for each in query.history)
        for query in golden.queries
        if not query.user_id
    ]

    assert len(brought) == 16
    assert set(brought) <= firsts - {()}


def test_answers_to_strangers_are_the_best_by_the_query_tower(
    artifact: Artifact, golden: manifest_pb2.GoldenQueries
) -> None:
    tower, items = artifact.model.stages.query_tower, artifact.model.embeddings.items
    assert tower is not None
    strangers = [query for query in golden.queries if not query.user_id]
    for query in strangers:
        history = np.array([[0, row(each.item_id)] for each in query.history], np.int32)
        ratings = np.array([each.rating for each in query.history], np.float32)
        # Of the age nothing is known, and that is what the second column says.
        embedded = tower.oracle(Queries(history, ratings, np.array([[0, 1]], np.float32)))
        assert_best(query, items @ embedded[0], history[:, 1])


def test_where_there_are_no_ratings_strangers_bring_none(artifact: Artifact, folder: Path) -> None:
    unrated = Histories(artifact.histories.offsets, artifact.histories.item_rows)

    found = golden_queries(folder, artifact.model, replace(known(artifact), histories=unrated))

    entries = [entry for query in found.queries for entry in query.history]
    assert entries
    assert not any(entry.HasField("rating") for entry in entries)


def test_a_model_without_a_query_tower_is_asked_for_users_alone(tmp_path: Path) -> None:
    made = array_artifact(30, 100)

    golden = read_golden(
        publish(replace(made, model=RetrievalModel(made.model.embeddings)), tmp_path)
    )

    assert len(golden.queries) == 30
    assert all(query.user_id and not query.history for query in golden.queries)


def test_who_has_nothing_left_to_find_is_passed_over(tmp_path: Path) -> None:
    golden = read_golden(publish(array_artifact(2, 4, [[0, 1, 2, 3], [2]]), tmp_path))

    # The first user and the stranger of the same history have seen all; the others may come back.
    assert [(query.user_id, query.include_seen) for query in golden.queries] == [
        ("u1", True),
        ("", True),
    ]
    assert [len(query.item_ids) for query in golden.queries] == [4, 4]
    assert golden.overlap == 1


def test_a_user_with_few_items_left_has_that_many_answers(tmp_path: Path) -> None:
    golden = read_golden(publish(array_artifact(1, 20, [list(range(17))]), tmp_path))

    [of_user, _] = golden.queries
    assert (of_user.k, sorted(of_user.item_ids)) == (10, ["i17", "i18", "i19"])


def test_the_same_model_has_the_same_bytes(artifact: Artifact, folder: Path) -> None:
    again = publish(artifact, folder.parent.parent)

    assert again != folder
    assert (again / "golden.json").read_bytes() == (folder / "golden.json").read_bytes()


def test_the_file_stays_small_where_ids_are_long(tmp_path: Path) -> None:
    made = array_artifact(100, 200)
    users, items = ([f"{each:>036}" for each in table.ids] for table in (made.users, made.items))
    with_uuids = replace(
        made, users=replace(made.users, ids=users), items=replace(made.items, ids=items)
    )

    folder = publish(with_uuids, tmp_path)

    assert 10_000 < (folder / "golden.json").stat().st_size < 100_000


def test_a_model_other_than_the_written_one_shares_few_answers_with_it(
    artifact: Artifact, folder: Path
) -> None:
    vectors = artifact.model.embeddings
    shifted = Embeddings(vectors.users, np.roll(vectors.items, 1, axis=0))

    of_other = golden_queries(folder, replace(artifact.model, embeddings=shifted), known(artifact))

    assert of_other.overlap < 0.3
    assert read_golden(folder).overlap == 1
