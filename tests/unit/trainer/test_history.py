"""The history family: what it learns, and that its tower in a graph is what NumPy says it is."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from recserve_trainer.artifact.arrow_files import write_users
from recserve_trainer.config import SplitConfig
from recserve_trainer.evaluation.baselines import item_counts
from recserve_trainer.evaluation.split import Split, split_by_time
from recserve_trainer.families.history import HistoryTraining, main_directions
from recserve_trainer.fit_configs import HistoryConfig
from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.indexes.scann import ScannIndex
from recserve_trainer.interactions import Dataset, Histories, Interactions, distinct_pairs
from recserve_trainer.learning.ials import Confidences, RatingScale, fit_ials
from recserve_trainer.learning.side_information import side_information
from recserve_trainer.retrieval import Queries, RetrievalModel
from recserve_trainer.tables import ItemTable, UserTable, category_column, number_column

pytestmark = pytest.mark.tensorflow

USERS, ITEMS = 40, 30
CONFIG = HistoryConfig(ease_l2=20, ials_dimension=8, dimension=12, seed=3)
NOBODYS = [ITEMS - 2, ITEMS - 1]
"""Items without interactions, each of a genre of its own."""


def two_tastes() -> tuple[Dataset, Split]:
    """Even users take even items, odd users odd ones; the last user takes nothing."""
    random = np.random.default_rng(0)
    rows = [
        (user, 2 * int(item) + user % 2)
        for user in range(USERS - 1)
        for item in random.permutation(ITEMS // 2 - 1)[:10]
    ]
    users, items = np.array(rows, np.int32).T
    ratings = random.integers(1, 6, len(rows)).astype(np.float32)
    times = random.integers(0, 100, len(rows)) * 30 + 10_000 * users
    interactions = Interactions(users, items, ratings, times)
    ids = [str(row) for row in range(ITEMS)]
    genres = [["even", "odd"][row % 2 :][:1] for row in range(ITEMS - 2)] + [["x"], ["y"]]
    columns = {
        "genres": category_column(genres),
        "year": number_column([float(row % 7) for row in range(ITEMS - 2)] + [None, None]),
    }
    table = ItemTable(ids, ids, columns)
    users_table = UserTable([str(row) for row in range(USERS)])
    dataset = Dataset("tastes", "1", users_table, table, interactions)
    return dataset, split_by_time(interactions, SplitConfig())


def train(config: HistoryConfig = CONFIG) -> RetrievalModel:
    training = HistoryTraining(*two_tastes(), config)
    training.run_epoch()
    return training.model()


@pytest.fixture(scope="module")
def both() -> RetrievalModel:
    return train()


@pytest.fixture(scope="module")
def ials_alone() -> RetrievalModel:
    return train(replace(CONFIG, ease_items=ITEMS - 1))


@pytest.fixture(params=["both", "ials_alone"])
def model(request: pytest.FixtureRequest) -> RetrievalModel:
    found: RetrievalModel = request.getfixturevalue(request.param)
    return found


def queries(*histories: list[tuple[int, float]]) -> Queries:
    """Takes of each user (item row, rating)."""
    entries = [(place, *entry) for place, history in enumerate(histories) for entry in history]
    pairs = np.array([entry[:2] for entry in entries], np.int32).reshape(-1, 2)
    ratings = np.array([entry[2] for entry in entries], np.float32)
    return Queries(pairs, ratings, np.zeros((len(histories), 0), np.float32))


def of_training() -> Queries:
    """Everybody's training interactions, as they are stored."""
    _, split = two_tastes()
    pairs = np.stack([split.train.user_rows, split.train.item_rows], axis=1)
    return Queries(pairs, split.train.ratings, np.zeros((USERS, 0), np.float32))


def embed(model: RetrievalModel, asked: Queries) -> np.ndarray:
    tower = model.stages.query_tower
    return tower.embed(*map(tf.constant, (asked.history, asked.ratings, asked.features))).numpy()


def test_it_learns_who_likes_what(model: RetrievalModel) -> None:
    known = np.arange(USERS - 1, dtype=np.int32)

    best = np.argsort(-model.embeddings.score(known), axis=1)[:, :10]

    assert (best % 2 == known[:, None] % 2).mean() > 0.95


def test_users_of_the_table_are_embedded_as_their_training_histories(
    model: RetrievalModel,
) -> None:
    users = model.embeddings.users

    assert embed(model, of_training()) == pytest.approx(users, abs=1e-4)
    assert model.stages.query_tower.oracle(of_training()) == pytest.approx(users, abs=1e-4)


def test_the_published_histories_and_ratings_embed_as_the_users_they_are_of(
    model: RetrievalModel, tmp_path: Path
) -> None:
    dataset, split = two_tastes()
    write_users(tmp_path / "users", dataset.users, Histories.rated(USERS, split.train))
    table = pa.ipc.open_file(str(tmp_path / "users")).read_all().to_pydict()
    pairs = map(zip, table["history"], table["history_rating"])

    assert embed(model, queries(*map(list, pairs))) == pytest.approx(
        model.embeddings.users, abs=1e-4
    )


def test_the_saved_tower_computes_what_numpy_does(model: RetrievalModel, tmp_path: Path) -> None:
    asked = queries(
        [(3, 5.0), (5, 1.0), (4, np.nan)], [], [(0, 2.0)], [(27, np.nan), (1, 9.0), (2, -1.0)]
    )
    ExactIndex(model.embeddings, model.stages).save(tmp_path)

    found = (
        tf.saved_model.load(str(tmp_path))
        .signatures["embed_queries"](
            history=tf.constant(asked.history),
            ratings=tf.constant(asked.ratings),
            features=tf.constant(asked.features),
        )["embeddings"]
        .numpy()
    )

    assert found == pytest.approx(model.stages.query_tower.oracle(asked), abs=1e-4)
    assert found == pytest.approx(embed(model, asked), abs=1e-6)


def test_scores_are_the_blend_of_both_kinds_when_nothing_is_cut_off(both: RetrievalModel) -> None:
    full = train(replace(CONFIG, dimension=ITEMS))
    blended = full.stages.query_tower._blended.oracle(of_training())

    scores = full.embeddings.score(np.arange(USERS - 1, dtype=np.int32))

    assert both.embeddings.items.shape == (ITEMS, CONFIG.dimension)
    assert scores == pytest.approx(blended[:-1], abs=1e-3)


def test_who_took_nothing_gets_the_mean_query_and_much_what_is_popular(
    model: RetrievalModel,
) -> None:
    _, split = two_tastes()
    counts = item_counts(split.train, ITEMS)
    mean = model.embeddings.users[:-1].mean(axis=0)

    [nobody] = embed(model, queries([]))

    assert nobody == pytest.approx(mean, abs=1e-6)
    assert model.embeddings.users[-1] == pytest.approx(nobody, abs=1e-6)
    assert np.corrcoef(model.embeddings.items @ nobody, counts)[0, 1] > 0.8


def test_a_history_of_which_nothing_is_known_counts_as_none() -> None:
    for config in (CONFIG, replace(CONFIG, ease_items=0)):
        model = train(replace(config, ease_side_weight=0, ials_side_weight=0))

        unknown, nobody = embed(model, queries([(item, 5.0) for item in NOBODYS], []))

        assert unknown == pytest.approx(nobody, abs=1e-6)


def test_a_disliked_item_says_less(model: RetrievalModel) -> None:
    liked, disliked, unrated, middling = (
        embed(
            model,
            queries(
                [(3, 5.0), (4, 5.0)],
                [(3, 1.0), (4, 5.0)],
                [(3, np.nan), (4, 5.0)],
                [(3, 3.0), (4, 5.0)],
            ),
        )
        @ model.embeddings.items.T
    )

    odd = np.arange(1, ITEMS - 2, 2)
    assert disliked[odd].mean() < liked[odd].mean()
    assert unrated == pytest.approx(liked, abs=1e-5)
    assert middling == pytest.approx(liked, abs=1e-5)


@given(
    st.lists(st.lists(st.integers(0, ITEMS - 1), max_size=8, unique=True), max_size=5),
    st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=25)
def test_neither_the_order_nor_the_company_of_a_history_matters(
    both: RetrievalModel, histories: list[list[int]], seed: int
) -> None:
    random = np.random.default_rng(seed)
    asked = queries(*([(item, float(1 + item % 5)) for item in one] for one in histories))
    order = random.permutation(len(asked.history))
    shuffled = Queries(asked.history[order], asked.ratings[order], asked.features)

    together = embed(both, shuffled)

    assert together.shape == (len(histories), CONFIG.dimension)
    for row, one in enumerate(histories):
        [alone] = embed(both, queries([(item, float(1 + item % 5)) for item in one]))
        assert together[row] == pytest.approx(alone, abs=1e-4)


def test_the_same_seed_gives_the_same_model(both: RetrievalModel) -> None:
    again, other = train(), train(replace(CONFIG, seed=4))

    assert (again.embeddings.users == both.embeddings.users).all()
    assert (again.embeddings.items == both.embeddings.items).all()
    assert (other.embeddings.users != both.embeddings.users).any()


def test_large_catalogues_have_the_vectors_of_ials(ials_alone: RetrievalModel) -> None:
    dataset, split = two_tastes()
    pairs = distinct_pairs(split.train)
    values = RatingScale.of(pairs.ratings, 0.6).confidence(pairs.ratings)
    by_user = Confidences.of(pairs.user_rows, pairs.item_rows, values, USERS)
    side = side_information(dataset.items, np.unique(pairs.item_rows))

    factors = fit_ials(by_user, side, CONFIG)
    logged = HistoryTraining(dataset, split, replace(CONFIG, ease_items=0)).run_epoch()

    assert ials_alone.embeddings.items == pytest.approx(factors.items, abs=1e-6)
    assert ials_alone.embeddings.users[:-1] == pytest.approx(factors.users[:-1], abs=1e-4)
    assert "seconds_ease" not in logged


def test_a_sample_of_users_finds_nearly_the_same_basis(both: RetrievalModel) -> None:
    sampled = train(replace(CONFIG, basis_users=20))

    known = np.arange(USERS - 1, dtype=np.int32)
    agreement = np.corrcoef(
        sampled.embeddings.score(known).ravel(), both.embeddings.score(known).ravel()
    )[0, 1]
    assert (sampled.embeddings.items != both.embeddings.items).any()
    assert agreement > 0.98


@pytest.mark.parametrize("shape", [(9, 5), (5, 9)])
def test_directions_are_the_first_singular_vectors(shape: tuple[int, int]) -> None:
    scores = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    scores[-1] = scores[0]

    found = main_directions(scores, 3)

    _, _, expected = np.linalg.svd(scores)
    assert np.abs(np.diag(expected[:3] @ found)) == pytest.approx(np.ones(3), abs=1e-5)
    assert main_directions(scores, 99).shape == (shape[1], min(shape[0] - 1, shape[1]))


@pytest.mark.skipif(importlib.util.find_spec("scann") is None, reason="scann is not installed")
def test_a_large_catalogue_can_be_searched_by_scann(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    items, users = random.integers(0, 2000, 8000), np.repeat(np.arange(200), 40)
    _, places = np.unique(users * 2000 + items, return_index=True)
    arrays = users[places].astype(np.int32), items[places].astype(np.int32)
    rows = Interactions(*arrays, np.ones(len(places), np.float32), np.zeros(len(places), np.int64))
    ids = [str(row) for row in range(2000)]
    dataset = Dataset("many", "1", UserTable(ids[:200]), ItemTable(ids, ids), rows)
    nothing = rows.take(np.empty(0, np.intp))
    training = HistoryTraining(
        dataset, Split(rows, nothing, nothing, ""), replace(CONFIG, ease_items=1999)
    )
    training.run_epoch()
    model = training.model()
    ScannIndex(model.embeddings, stages=model.stages).save(tmp_path)

    loaded = tf.saved_model.load(str(tmp_path))
    asked = queries([(int(arrays[1][0]), 1.0)])
    query = loaded.signatures["embed_queries"](
        history=tf.constant(asked.history),
        ratings=tf.constant(asked.ratings),
        features=tf.constant(asked.features),
    )["embeddings"]
    found = loaded.signatures["search"](
        query_embeddings=query, k=tf.constant(1), excluded=tf.zeros([0, 2], tf.int32)
    )
    best = (query.numpy() @ model.embeddings.items.T).argmax()
    assert found["item_rows"].numpy().tolist() == [[best]]
