"""The tutorials' settings: what each of them leaves out, in the loss and in the vectors."""

import numpy as np
import pytest
import tensorflow as tf

from recserve_trainer.evaluation.split import Split
from recserve_trainer.families.collaborative import CollaborativeModel, CollaborativeTraining
from recserve_trainer.families.training import FAMILIES
from recserve_trainer.fit_configs import FIT_CONFIGS, CollaborativeConfig, TextbookConfig
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.learning.towers import Vocabulary
from recserve_trainer.retrieval import Embeddings
from recserve_trainer.tables import ItemTable, UserTable

pytestmark = pytest.mark.tensorflow

USERS, ITEMS = 6, 4
BATCH = {
    "user": np.array([0, 1, 2, 3, 4], np.int32),
    "item": np.array([0, 1, 0, 2, 3], np.int32),  # item 0 twice: an accidental hit
    "weight": np.array([1, 0.6, 1, 0.8, 1], np.float32),
}
SAMPLING = np.array([0.5, 0.25, 0.15, 0.1, 0.01], np.float32)


def loss_and_oracle(config: CollaborativeConfig) -> tuple[float, float]:
    """The model's loss of `BATCH` and the same in NumPy, by the formulas of the documentation."""
    users = Vocabulary(np.arange(USERS, dtype=np.int32), USERS)
    items = Vocabulary(np.arange(ITEMS, dtype=np.int32), ITEMS)
    model = CollaborativeModel(users, items, SAMPLING, config)
    loss = model.compute_loss({name: tf.constant(v) for name, v in BATCH.items()}, training=True)

    queries = np.asarray(model.user_tower(BATCH["user"]), np.float64)
    candidates = np.asarray(model.item_tower(BATCH["item"]), np.float64)
    logits = queries @ candidates.T
    if config.sampling_correction:
        logits -= np.log(SAMPLING[BATCH["item"]])
    if config.remove_accidental_hits:
        same = BATCH["item"][:, None] == BATCH["item"]
        logits[same & ~np.eye(len(same), dtype=bool)] = -np.inf
    losses = np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)
    norms = (queries[:, :-1] ** 2).sum() + (candidates[:, :-1] ** 2).sum()
    return float(loss), float((BATCH["weight"] * losses).sum() + config.l2 * norms)


@pytest.mark.parametrize("sampling_correction", [True, False])
@pytest.mark.parametrize("remove_accidental_hits", [True, False])
def test_the_loss_is_the_formulas(sampling_correction: bool, remove_accidental_hits: bool) -> None:
    config = CollaborativeConfig(
        embedding_dimension=3,
        l2=0.5,
        sampling_correction=sampling_correction,
        remove_accidental_hits=remove_accidental_hits,
    )

    loss, oracle = loss_and_oracle(config)

    assert loss == pytest.approx(oracle, rel=1e-5)


def train(config: CollaborativeConfig, epochs: int) -> list[Embeddings]:
    """Returns the vectors after each epoch."""
    random = np.random.default_rng(0)
    pairs = np.unique(random.integers(0, [USERS, ITEMS], (40, 2)), axis=0).astype(np.int32)
    stars = random.integers(1, 6, len(pairs)).astype(np.float32)
    train = Interactions(pairs[:, 0], pairs[:, 1], stars, np.arange(len(pairs)))
    ids = [str(row) for row in range(USERS)]
    dataset = Dataset("d", "1", UserTable(ids), ItemTable(ids[:ITEMS], ids[:ITEMS]), train)
    none = train.take(np.arange(0))
    training = CollaborativeTraining(dataset, Split(train, none, none, ""), config)
    found = []
    for _ in range(epochs):
        training.run_epoch()
        found.append(training.model().embeddings)
    return found


def test_the_textbook_has_no_item_bias_and_ours_has() -> None:
    textbook = train(TextbookConfig(embedding_dimension=4, batch_size=8), epochs=1)[-1]
    ours = train(CollaborativeConfig(embedding_dimension=4, batch_size=8), epochs=1)[-1]

    assert (textbook.items[:, -1] == 0).all()
    assert (ours.items[:, -1] != 0).all()
    assert (textbook.items[:, :-1] != 0).all()


def test_what_is_served_is_the_average_over_the_steps() -> None:
    """One batch is an epoch here; asking for the vectors in between must not change the course."""
    each_step = train(
        CollaborativeConfig(embedding_dimension=4, batch_size=64, averaging=False), epochs=3
    )
    averaged = train(CollaborativeConfig(embedding_dimension=4, batch_size=64), epochs=3)

    expected = np.zeros((USERS, 5))
    for number, (step, average) in enumerate(zip(each_step, averaged, strict=True), start=1):
        expected += 3 / (number + 2) * (step.users - expected)  # Shamir & Zhang, eta = 2
        np.testing.assert_allclose(average.users, expected, rtol=1e-4, atol=1e-6)


def test_the_preset_is_a_family_of_its_own_with_the_tutorials_numbers() -> None:
    config = FIT_CONFIGS["textbook"]()

    assert isinstance(config, TextbookConfig)
    assert FAMILIES["textbook"] is CollaborativeTraining
    assert (config.epochs, config.batch_size, config.learning_rate) == (3, 8192, 0.1)
    assert config.optimizer == "adagrad"


def test_an_optimizer_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="optimizer is 'sgd', must be adam or adagrad"):
        CollaborativeConfig(optimizer="sgd")
