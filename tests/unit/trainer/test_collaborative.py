import numpy as np
import pytest

from recserve_trainer.config import SplitConfig
from recserve_trainer.evaluation.split import Split, split_by_time
from recserve_trainer.families import collaborative
from recserve_trainer.families.collaborative import CollaborativeTraining
from recserve_trainer.fit_configs import CollaborativeConfig
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.retrieval import Embeddings
from recserve_trainer.tables import ItemTable, UserTable

pytestmark = pytest.mark.tensorflow

USERS, ITEMS = 40, 30
CONFIG = CollaborativeConfig(embedding_dimension=8, batch_size=64, learning_rate=0.02, seed=3)


def two_tastes() -> tuple[Dataset, Split]:
    """Even users take even items, odd users odd ones; nobody takes the last two items."""
    random = np.random.default_rng(0)
    rows = [
        (user, 2 * int(item) + user % 2)
        for user in range(USERS)
        for item in random.permutation(ITEMS // 2 - 1)[:10]
    ]
    users, items = np.array(rows, np.int32).T
    times = np.tile(np.arange(10), USERS)
    interactions = Interactions(users, items, np.ones(len(rows), np.float32), times)
    ids = [str(row) for row in range(ITEMS)]
    table = ItemTable(ids, ids)
    dataset = Dataset(
        "tastes", "1", UserTable([str(row) for row in range(USERS)]), table, interactions
    )
    return dataset, split_by_time(interactions, SplitConfig())


def train(epochs: int, config: CollaborativeConfig = CONFIG) -> tuple[Embeddings, dict[str, float]]:
    training = CollaborativeTraining(*two_tastes(), config)
    for _ in range(epochs):
        logged = training.run_epoch()
    return training.model().embeddings, logged


def test_it_learns_who_likes_what() -> None:
    embeddings, logged = train(epochs=25)

    best = np.argsort(-embeddings.score(np.arange(USERS, dtype=np.int32)), axis=1)[:, :10]
    of_own_taste = (best % 2 == np.arange(USERS)[:, None] % 2).mean()
    assert of_own_taste > 0.95
    assert np.isfinite(logged["loss"])
    assert 0 <= logged["top_10_categorical_accuracy"] <= 1


def test_accuracies_over_too_large_a_catalogue_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(collaborative, "ACCURACY_ITEMS", ITEMS - 3)  # two items are not known

    _, logged = train(epochs=1)

    assert set(logged) == {"loss"}


def test_an_item_nobody_took_has_no_vector_and_the_lowest_bias() -> None:
    embeddings, _ = train(epochs=3)

    untaken = embeddings.items[-2:]
    assert (untaken[:, :-1] == 0).all()
    assert (untaken[:, -1] == embeddings.items[:, -1].min()).all()


@pytest.mark.long
def test_the_same_seed_gives_the_same_vectors_and_another_seed_others() -> None:
    one, again, other = (
        train(2, CollaborativeConfig(embedding_dimension=8, batch_size=64, seed=seed))[0]
        for seed in (3, 3, 4)
    )

    assert np.array_equal(one.users, again.users)
    assert np.array_equal(one.items, again.items)
    assert not np.array_equal(one.users, other.users)
