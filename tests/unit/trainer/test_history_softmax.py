import numpy as np
import pytest
import tensorflow as tf

from recserve_trainer.evaluation.split import Split
from recserve_trainer.families.history_softmax import HistorySoftmaxTraining
from recserve_trainer.fit_configs import HistorySoftmaxConfig
from recserve_trainer.interactions import Dataset, Histories, Interactions
from recserve_trainer.retrieval import Queries, RetrievalModel
from recserve_trainer.tables import ItemTable, UserTable, category_column

pytestmark = pytest.mark.tensorflow

USERS, ITEMS = 40, 24
CONFIG = HistorySoftmaxConfig(
    epochs=20,
    embedding_dimension=8,
    batch_size=64,
    learning_rate=0.05,
    l2=0.01,
    history_prior=1.0,
    seed=3,
)


def two_tastes() -> tuple[Dataset, Split]:
    """Even users take even items, odd users odd ones; the last user takes nothing."""
    random = np.random.default_rng(0)
    taken = [
        (user, 2 * int(item) + user % 2)
        for user in range(USERS - 1)
        for item in random.permutation(ITEMS // 2)[:7]
    ]
    users, items = np.array(taken, np.int32).T
    ones = np.ones(len(users), np.float32)
    interactions = Interactions(users, items, ones, np.arange(len(users)))
    ids = [str(row) for row in range(ITEMS)]
    job = category_column(["even", "odd"] * (USERS // 2))
    user_table = UserTable([str(row) for row in range(USERS)], {"job": job})
    dataset = Dataset("tastes", "1", user_table, ItemTable(ids, ids), interactions)
    nothing = interactions.take(np.empty(0, np.intp))
    return dataset, Split(interactions, nothing, nothing, "all")


@pytest.fixture(scope="module")
def model() -> RetrievalModel:
    training = HistorySoftmaxTraining(*two_tastes(), CONFIG)
    for _ in range(CONFIG.epochs):
        assert np.isfinite(training.run_epoch()["loss"])
    return training.model()


def test_it_learns_who_likes_what(model: RetrievalModel) -> None:
    known = np.arange(USERS - 1, dtype=np.int32)

    best = np.argsort(-model.embeddings.score(known), axis=1)[:, :8]

    assert (best % 2 == known[:, None] % 2).mean() > 0.95


def test_a_known_user_and_a_stranger_with_the_same_history_get_the_same(
    model: RetrievalModel,
) -> None:
    _, split = two_tastes()
    everybody = np.arange(USERS, dtype=np.int32)
    history = Histories.of(USERS, split.train).pairs(everybody)
    unrated = np.full(len(history), np.nan, np.float32)
    tower = model.stages.query_tower
    assert tower is not None

    strangers = tower.embed(tf.constant(history), tf.constant(unrated), tf.zeros([USERS, 0]))

    assert list(tower.features) == []
    assert strangers.numpy() == pytest.approx(model.embeddings.users, abs=1e-5)
    queries = Queries(history, unrated, np.zeros((USERS, 0), np.float32))
    assert tower.oracle(queries) == pytest.approx(model.embeddings.users, abs=1e-5)


def test_items_are_told_apart_by_attributes_where_their_ids_are_hidden() -> None:
    dataset, split = two_tastes()
    genres = ["even", "odd"] * (ITEMS // 2)
    items = ItemTable(
        dataset.items.ids, ["" for _ in range(ITEMS)], {"genre": category_column(genres)}
    )
    hidden = HistorySoftmaxConfig(
        epochs=10, embedding_dimension=8, batch_size=64, learning_rate=0.05, item_dropout=1.0
    )
    training = HistorySoftmaxTraining(
        Dataset("tastes", "1", dataset.users, items, dataset.interactions), split, hidden
    )
    for _ in range(hidden.epochs):
        training.run_epoch()

    scores = training.model().embeddings.score(np.arange(USERS - 1, dtype=np.int32))

    is_own = np.arange(ITEMS) % 2 == np.arange(USERS - 1)[:, None] % 2
    assert scores[is_own].mean() > scores[~is_own].mean()
