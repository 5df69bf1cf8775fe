"""What content and hybrid keep for items that are added later."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from worlds import make_world

from recserve_trainer.families.content import ContentTraining
from recserve_trainer.families.hybrid import HybridTraining
from recserve_trainer.features import Feature, encode
from recserve_trainer.fit_configs import ContentConfig, HybridConfig
from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.interactions import Dataset
from recserve_trainer.learning.feature_rows import item_columns
from recserve_trainer.learning.item_tower import AttributeItemTower, history_rows
from recserve_trainer.retrieval import Embeddings, RetrievalModel, Stages
from recserve_trainer.tables import ItemTable, UserTable

pytestmark = pytest.mark.tensorflow

RANDOM = np.random.default_rng(0)
FEATURES = (
    Feature("year", "number", mean=1990, deviation=10),
    Feature("genres", "category", vocabulary=("Crime", "Comedy")),
)
WEIGHTS = RANDOM.normal(size=(5, 3)).astype(np.float32)
HISTORY_WEIGHTS = RANDOM.normal(size=(3, 2)).astype(np.float32)
# Of 1995 and Comedy; of no known year and nothing.
ROWS = np.array([[0.5, 0, 0, 1], [0, 1, 0, 0]], np.float32)
VECTORS = np.array(
    [0.5 * WEIGHTS[0] + WEIGHTS[3] + WEIGHTS[4], WEIGHTS[1] + WEIGHTS[4]], np.float32
)
SETTINGS = {"epochs": 6, "embedding_dimension": 8, "batch_size": 64, "learning_rate": 0.05}
FAMILIES = {
    "content": (ContentTraining, ContentConfig(**SETTINGS, seed=1)),
    "hybrid": (HybridTraining, HybridConfig(**SETTINGS, seed=1)),
}


def tower() -> AttributeItemTower:
    return AttributeItemTower(FEATURES, WEIGHTS, HISTORY_WEIGHTS)


def without_interactions(dataset: Dataset, count: int) -> Dataset:
    """Gives the dataset more items, copies of the first ones that nobody took."""
    items = dataset.items
    rows = [*range(len(items)), *range(count)]
    columns = item_columns(items)
    return Dataset(
        dataset.name,
        dataset.version,
        dataset.users,
        ItemTable(
            items.ids + [f"copy of {items.ids[row]}" for row in range(count)],
            [items.titles[row] for row in rows],
            {
                name: type(column)(column.kind, column.values.take(rows))
                for name, column in columns.items()
                if name != "title"
            },
        ),
        dataset.interactions,
    )


@pytest.fixture(scope="module", params=list(FAMILIES))
def fitted(request: pytest.FixtureRequest) -> tuple[Dataset, RetrievalModel]:
    dataset, split = make_world()
    dataset = without_interactions(dataset, 4)
    training_of, config = FAMILIES[request.param]
    training = training_of(dataset, split, config)
    for _ in range(config.epochs):
        training.run_epoch()
    return dataset, training.model()


def test_a_vector_is_the_sum_of_its_attributes_weights_and_the_constant() -> None:
    assert tower().embed(tf.constant(ROWS)).numpy() == pytest.approx(VECTORS, abs=1e-6)
    assert tower().oracle(ROWS) == pytest.approx(VECTORS, abs=1e-6)


def test_in_a_history_the_bias_does_not_count() -> None:
    other_bias = VECTORS + np.array([0, 0, 9], np.float32)
    expected = VECTORS[:, :2] @ HISTORY_WEIGHTS[:2] + HISTORY_WEIGHTS[2]

    assert tower().in_histories(VECTORS) == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(tower().in_histories(other_bias), tower().in_histories(VECTORS))


def test_saved_and_loaded_it_is_the_same_again(tmp_path: Path) -> None:
    vectors = RANDOM.normal(size=(6, 3)).astype(np.float32)
    ExactIndex(Embeddings(vectors, vectors), Stages(item_tower=tower())).save(tmp_path)

    loaded = tf.saved_model.load(str(tmp_path))
    restored = AttributeItemTower.restored(loaded.item_tower, FEATURES)

    found = loaded.signatures["embed_new_items"](features=tf.constant(ROWS))
    assert found["embeddings"].numpy() == pytest.approx(VECTORS, abs=1e-6)
    assert np.array_equal(restored.weights.numpy(), WEIGHTS)
    assert np.array_equal(restored.history_weights.numpy(), HISTORY_WEIGHTS)


def test_items_that_training_has_not_seen_are_what_the_tower_makes_of_them(
    fitted: tuple[Dataset, RetrievalModel],
) -> None:
    dataset, model = fitted
    item_tower = model.stages.item_tower
    assert item_tower is not None
    encoded = encode(item_tower.features, item_columns(dataset.items), len(dataset.items))

    found = item_tower.oracle(encoded[-4:])

    assert found == pytest.approx(model.embeddings.items[-4:], abs=1e-5)
    assert not np.allclose(found[0], found[1])  # they are of different kinds


def test_what_all_items_add_in_a_history_follows_from_their_vectors(
    fitted: tuple[Dataset, RetrievalModel],
) -> None:
    dataset, model = fitted
    query_tower, item_tower = model.stages.query_tower, model.stages.item_tower
    assert query_tower is not None
    assert isinstance(item_tower, AttributeItemTower)
    count = len(dataset.items)
    alone = np.stack([np.arange(count), np.arange(count)], axis=1).astype(np.int32)
    width = sum(feature.width for feature in query_tower.features)
    embed = lambda history: query_tower.embed(  # noqa: E731
        tf.constant(history), tf.fill([len(history)], np.nan), tf.zeros([count, width])
    ).numpy()

    added = (embed(alone) - embed(alone[:0]))[:, :-1]

    prior = ContentConfig().history_prior
    weights = item_tower.history_weights.numpy()
    expected = history_rows(model.embeddings.items[:, :-1], weights) / (1 + prior)
    assert added == pytest.approx(expected, abs=1e-5)


def test_hybrid_has_none_where_items_have_no_attributes() -> None:
    dataset, split = make_world(12, 10)
    ids = dataset.items.ids
    bare = Dataset("w", "1", UserTable(dataset.users.ids), ItemTable(ids, ids), split.train)

    training = HybridTraining(bare, split, HybridConfig(**SETTINGS))

    assert training.model().stages.item_tower is None
