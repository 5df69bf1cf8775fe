"""What content and hybrid promise alike: tastes by genre, also for items and users never seen."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from recserve_trainer.errors import TrainerError
from recserve_trainer.evaluation.split import Split
from recserve_trainer.families.content import ContentTraining
from recserve_trainer.families.hybrid import HybridTraining
from recserve_trainer.features import encode
from recserve_trainer.fit_configs import ContentConfig, HybridConfig
from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.interactions import Dataset, Histories, Interactions
from recserve_trainer.retrieval import Queries, QueryTower, RetrievalModel
from recserve_trainer.tables import ItemTable, UserTable, category_column, number_column

pytestmark = pytest.mark.tensorflow

GENRES, PER_GENRE, USERS = ("Crime", "Comedy", "Horror", "Western"), 8, 48
ITEMS = PER_GENRE * len(GENRES)
GENRE = np.arange(ITEMS) % len(GENRES)
NEW_ITEMS = np.arange(ITEMS - len(GENRES), ITEMS)
"""One of each genre, which nobody has taken."""
SETTINGS = {
    "epochs": 16,
    "embedding_dimension": 8,
    "batch_size": 64,
    "learning_rate": 0.05,
    "history_prior": 1.0,
    "l2": 0.01,
}
FAMILIES = {
    "content": lambda dataset, split, seed: ContentTraining(
        dataset, split, ContentConfig(**SETTINGS, seed=seed)
    ),
    "hybrid": lambda dataset, split, seed: HybridTraining(
        dataset, split, HybridConfig(**SETTINGS, seed=seed)
    ),
}
Fit = Callable[..., RetrievalModel]


def genre_world() -> Dataset:
    """User u takes six items of genre u % 4; the last user takes nothing."""
    random = np.random.default_rng(0)
    taken = [
        (user, len(GENRES) * int(item) + user % len(GENRES))
        for user in range(USERS - 1)
        for item in random.permutation(PER_GENRE - 1)[:6]
    ]
    users, items = np.array(taken, np.int32).T
    ids = [str(row) for row in range(ITEMS)]
    item_columns = {
        "genres": category_column([[GENRES[genre]] for genre in GENRE]),
        "year": number_column([None if row == 3 else 1980 + row for row in range(ITEMS)]),
    }
    user_columns = {
        "age": number_column([20 + user for user in range(USERS)]),
        "gender": category_column(["female" if user % 3 else None for user in range(USERS)]),
    }
    return Dataset(
        "genres",
        "1",
        UserTable([str(row) for row in range(USERS)], user_columns),
        ItemTable(ids, [f"Film {row}" for row in ids], item_columns),
        Interactions(users, items, np.ones(len(users), np.float32), np.arange(len(users))),
    )


def train(family: str, dataset: Dataset, epochs: int, seed: int = 3) -> RetrievalModel:
    everything, nothing = dataset.interactions, dataset.interactions.take(np.empty(0, np.intp))
    training = FAMILIES[family](dataset, Split(everything, nothing, nothing, "all"), seed)
    for _ in range(epochs):
        assert np.isfinite(training.run_epoch()["loss"])
    return training.model()


@pytest.fixture(scope="module", params=list(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def model(family: str) -> RetrievalModel:
    return train(family, genre_world(), SETTINGS["epochs"])


def tower_of(model: RetrievalModel) -> QueryTower:
    assert model.stages.query_tower is not None
    return model.stages.query_tower


def embed(tower: QueryTower, queries: Queries) -> np.ndarray:
    tensors = (tf.constant(queries.history), tf.constant(queries.ratings))
    return tower.embed(*tensors, tf.constant(queries.features)).numpy()


def by_history(tower: QueryTower, *histories: list[int]) -> Queries:
    """Histories without ratings, of users of whom nothing else is known."""
    pairs = [(position, item) for position, items in enumerate(histories) for item in items]
    width = sum(feature.width for feature in tower.features)
    return Queries(
        np.array(pairs, np.int32).reshape(-1, 2),
        np.full(len(pairs), np.nan, np.float32),
        np.zeros((len(histories), width), np.float32),
    )


def test_it_learns_which_genre_a_user_likes(model: RetrievalModel) -> None:
    users = np.arange(USERS - 1, dtype=np.int32)

    best = np.argsort(-model.embeddings.score(users), axis=1)[:, :6]

    assert (GENRE[best] == users[:, None] % len(GENRES)).mean() > 0.95


def test_of_items_nobody_took_the_one_of_the_liked_genre_is_first(model: RetrievalModel) -> None:
    users = np.arange(USERS - 1, dtype=np.int32)

    best = model.embeddings.score(users)[:, NEW_ITEMS].argmax(axis=1)

    assert (best == users % len(GENRES)).mean() > 0.95


@pytest.mark.parametrize("history", [[0, 4], [28, 28 - 4]], ids=["known items", "a new item"])
def test_an_unknown_user_with_two_items_gets_their_genre(
    model: RetrievalModel, history: list[int]
) -> None:
    queries = by_history(
        tower_of(model), *([item + genre for item in history] for genre in range(len(GENRES)))
    )

    best = np.argsort(-embed(tower_of(model), queries) @ model.embeddings.items.T, axis=1)[:, :5]

    assert (GENRE[best] == np.arange(len(GENRES))[:, None]).all()


def test_without_history_and_features_all_queries_are_alike(model: RetrievalModel) -> None:
    found = embed(tower_of(model), by_history(tower_of(model), [], [0], []))

    assert np.isfinite(found).all()
    assert np.array_equal(found[0], found[2])
    assert not np.allclose(found[0], found[1])


def test_a_user_without_training_items_is_embedded_by_attributes_as_a_query_is(
    model: RetrievalModel,
) -> None:
    tower, users = tower_of(model), genre_world().users
    features = encode(tower.features, users.columns, USERS)[-1:]
    query = Queries(np.empty((0, 2), np.int32), np.empty(0, np.float32), features)

    assert features.any()
    np.testing.assert_allclose(embed(tower, query), model.embeddings.users[-1:], atol=1e-5)


def test_graph_and_saved_graph_embed_as_the_oracle_does(
    model: RetrievalModel, tmp_path: Path
) -> None:
    tower = tower_of(model)
    random = np.random.default_rng(1)
    history = Histories.of(USERS, genre_world().interactions).pairs(
        np.array([47, 5, 9, 47, 3], np.int32)
    )
    width = sum(feature.width for feature in tower.features)
    queries = Queries(
        history,
        random.integers(1, 6, len(history)).astype(np.float32),
        random.random((5, width), np.float32),
    )
    expected = tower.oracle(queries)

    ExactIndex(model.embeddings, model.stages).save(tmp_path)
    saved = tf.saved_model.load(str(tmp_path)).signatures["embed_queries"](
        history=queries.history, ratings=queries.ratings, features=queries.features
    )

    assert expected.shape == (5, model.embeddings.items.shape[1])
    np.testing.assert_allclose(embed(tower, queries), expected, atol=1e-5)
    np.testing.assert_allclose(saved["embeddings"], expected, atol=1e-5)


@pytest.mark.long
def test_the_same_seed_gives_the_same_vectors_and_another_seed_others(
    model: RetrievalModel, family: str
) -> None:
    again = train(family, genre_world(), SETTINGS["epochs"], seed=3).embeddings
    one, other = (train(family, genre_world(), 0, seed).embeddings for seed in (3, 4))

    assert np.array_equal(model.embeddings.users, again.users)
    assert np.array_equal(model.embeddings.items, again.items)
    assert not np.array_equal(one.users, other.users)


def test_users_need_no_attributes(family: str) -> None:
    world = genre_world()
    users = UserTable(world.users.ids)
    model = train(family, Dataset("g", "1", users, world.items, world.interactions), 1)

    queries = by_history(tower_of(model), [0, 4], [])

    assert queries.features.shape == (2, 0)
    np.testing.assert_allclose(
        embed(tower_of(model), queries), tower_of(model).oracle(queries), atol=1e-5
    )
    assert np.isfinite(model.embeddings.users).all()


def test_content_refuses_items_that_share_no_attribute_and_no_word() -> None:
    world = genre_world()
    items = ItemTable(world.items.ids, world.items.ids)

    with pytest.raises(TrainerError, match=r"attributes of items.*g has none"):
        train("content", Dataset("g", "1", world.users, items, world.interactions), 1)
