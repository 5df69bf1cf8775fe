import numpy as np
import pytest
import tensorflow as tf

from recserve_trainer.evaluation.split import Split
from recserve_trainer.families.hybrid import HybridTraining
from recserve_trainer.fit_configs import ContentConfig, HistorySoftmaxConfig, HybridConfig
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.tables import ItemTable, UserTable

pytestmark = pytest.mark.tensorflow

USERS, ITEMS = 40, 24


def two_tastes() -> tuple[Dataset, Split]:
    """Even users take even items, odd users odd ones; no attribute and no title tells of it."""
    random = np.random.default_rng(0)
    taken = [
        (user, 2 * int(item) + user % 2)
        for user in range(USERS)
        for item in random.permutation(ITEMS // 2 - 1)[:7]
    ]
    users, items = np.array(taken, np.int32).T
    interactions = Interactions(
        users, items, np.ones(len(users), np.float32), np.arange(len(users))
    )
    ids = [str(row) for row in range(ITEMS)]
    dataset = Dataset(
        "tastes",
        "1",
        UserTable([str(row) for row in range(USERS)]),
        ItemTable(ids, ids),
        interactions,
    )
    nothing = interactions.take(np.empty(0, np.intp))
    return dataset, Split(interactions, nothing, nothing, "all")


def test_without_any_attribute_ids_and_histories_tell_who_likes_what() -> None:
    config = HybridConfig(
        epochs=20,
        embedding_dimension=8,
        batch_size=64,
        learning_rate=0.05,
        l2=0.01,
        history_prior=1.0,
        seed=3,
    )
    training = HybridTraining(*two_tastes(), config)
    for _ in range(config.epochs):
        training.run_epoch()
    model = training.model()

    best = np.argsort(-model.embeddings.score(np.arange(USERS, dtype=np.int32)), axis=1)[:, :8]
    assert (best % 2 == np.arange(USERS)[:, None] % 2).mean() > 0.95
    assert model.stages.query_tower is not None
    query = model.stages.query_tower.embed(
        tf.constant([[0, 1], [0, 3]]), tf.constant([np.nan, np.nan], tf.float32), tf.zeros([1, 0])
    )
    assert set(np.argsort(-(query.numpy() @ model.embeddings.items.T)[0])[:6] % 2) == {1}
    # Of new items nothing at all is known.
    items = model.embeddings.items
    assert not items[-2:, :-1].any()
    assert (items[-2:, -1] == items[:, -1].min()).all()


@pytest.mark.parametrize(
    ("config", "setting"),
    [
        (HybridConfig, {"item_shrinkage": -1.0}),
        (HybridConfig, {"new_item_l2": 0.0}),
        (ContentConfig, {"item_l2": 0.0}),
        (ContentConfig, {"history_prior": 0.0}),
        (HistorySoftmaxConfig, {"history_draws": 0}),
        (HistorySoftmaxConfig, {"item_dropout": 1.5}),
    ],
)
def test_a_setting_out_of_its_limits_is_refused(config: type, setting: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        config(**setting)
