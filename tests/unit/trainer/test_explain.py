"""What entries of histories add to scores: sums that must add up, and small cases by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recserve_trainer.config import SplitConfig
from recserve_trainer.evaluation.split import split_by_time
from recserve_trainer.families.history import HistoryTraining
from recserve_trainer.families.popularity import PopularityTower
from recserve_trainer.features import Feature
from recserve_trainer.fit_configs import HistoryConfig
from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.learning.history_tower import HistoryTower
from recserve_trainer.learning.pooled_query import PooledQueryTower
from recserve_trainer.retrieval import Embeddings, Queries, RetrievalModel, Stages
from recserve_trainer.tables import ItemTable, UserTable

pytestmark = pytest.mark.tensorflow

USERS, ITEMS, WIDTH = 40, 30, 3
NOBODYS = ITEMS - 1
"""An item without interactions: alone in a history it says nothing."""
CONFIG = HistoryConfig(ease_l2=20, ials_dimension=6, dimension=9, seed=3)
PRIOR = 2.5


def history_model(config: HistoryConfig) -> RetrievalModel:
    random = np.random.default_rng(0)
    rows = [
        (user, int(item)) for user in range(USERS) for item in random.permutation(ITEMS - 1)[:10]
    ]
    users, items = np.array(rows, np.int32).T
    ratings = random.integers(1, 6, len(rows)).astype(np.float32)
    interactions = Interactions(users, items, ratings, random.integers(0, 9999, len(rows)))
    ids = [str(row) for row in range(USERS)]
    table = ItemTable(ids[:ITEMS], ids[:ITEMS])
    dataset = Dataset("random", "1", UserTable(ids), table, interactions)
    training = HistoryTraining(dataset, split_by_time(interactions, SplitConfig()), config)
    training.run_epoch()
    return training.model()


def pooled_model() -> RetrievalModel:
    random = np.random.default_rng(1)
    draw = lambda *shape: random.normal(size=shape).astype(np.float32)  # noqa: E731
    tower = PooledQueryTower(
        (Feature("job", "category", tuple("abc")),),
        draw(ITEMS, 4),
        (draw(WIDTH, 4), draw(4)),
        PRIOR,
    )
    return RetrievalModel(Embeddings(draw(USERS, 5), draw(ITEMS, 5)), Stages(tower))


def popularity_model() -> RetrievalModel:
    items = np.column_stack([np.arange(ITEMS), np.zeros(ITEMS)]).astype(np.float32)
    return RetrievalModel(
        Embeddings(np.ones((USERS, 2), np.float32), items), Stages(PopularityTower())
    )


MODELS = {
    "ease and ials": lambda: history_model(CONFIG),
    "ials alone": lambda: history_model(replace(CONFIG, ease_items=0)),
    "pooled": pooled_model,
    "popularity": popularity_model,
}


class Explained:
    """One model, asked through its SavedModel."""

    def __init__(self, model: RetrievalModel, folder: Path) -> None:
        ExactIndex(model.embeddings, model.stages).save(folder)
        self.model, self._loaded = model, tf.saved_model.load(str(folder))

    def __call__(
        self, queries: Queries, item_rows: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        told = self._loaded.signatures["explain"](
            history=tf.constant(queries.history),
            ratings=tf.constant(queries.ratings),
            features=tf.constant(queries.features),
            item_rows=tf.constant(item_rows),
        )
        return told["contributions"].numpy(), told["base"].numpy()

    def scores(self, queries: Queries, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        embedded = self.model.stages.query_tower.oracle(queries)
        return np.einsum("bl,bml->bm", embedded, self.model.embeddings.items[item_rows])


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Explained]:
    return {
        name: Explained(make(), tmp_path_factory.mktemp("saved")) for name, make in MODELS.items()
    }


def queries(kind: str, histories: list[list[tuple[int, float]]], seed: int = 0) -> Queries:
    """Takes of each user (item row, rating); entries of all users come mixed."""
    entries = [(place, *entry) for place, history in enumerate(histories) for entry in history]
    random = np.random.default_rng(seed)
    entries = [entries[at] for at in random.permutation(len(entries))]
    pairs = np.array([entry[:2] for entry in entries], np.int32).reshape(-1, 2)
    ratings = np.array([entry[2] for entry in entries], np.float32)
    features = (random.random((len(histories), WIDTH if kind == "pooled" else 0)) < 0.5).astype(
        np.float32
    )
    return Queries(pairs, ratings, features)


def summed(asked: Queries, added: NDArray[np.float32]) -> NDArray[np.float32]:
    sums = np.zeros((len(asked.features), added.shape[1]), np.float32)
    np.add.at(sums, asked.history[:, 0], added)
    return sums


ENTRIES = st.tuples(st.integers(0, ITEMS - 1), st.sampled_from([1.0, 2.0, 4.0, 5.0, np.nan]))
HISTORIES = st.lists(
    st.lists(ENTRIES, max_size=12, unique_by=lambda entry: entry[0]), min_size=1, max_size=5
)


@pytest.mark.parametrize("kind", list(MODELS))
@given(histories=HISTORIES, asked_count=st.integers(0, 4), seed=st.integers(0, 2**16))
@settings(deadline=None, max_examples=30)
def test_what_entries_add_and_the_base_are_the_score(
    explained: dict[str, Explained],
    kind: str,
    histories: list[list[tuple[int, float]]],
    asked_count: int,
    seed: int,
) -> None:
    asked = queries(kind, histories, seed)
    shape = len(histories), asked_count
    item_rows = np.random.default_rng(seed).integers(0, ITEMS, shape, dtype=np.int32)

    added, base = explained[kind](asked, item_rows)

    assert (added.dtype, base.dtype) == (np.float32, np.float32)
    assert added.shape == (len(asked.history), asked_count)
    assert base.shape == shape
    scores = explained[kind].scores(asked, item_rows)
    allowed = 2e-4 * float(1 + np.abs(scores).max(initial=0))
    assert summed(asked, added) + base == pytest.approx(scores, abs=allowed)


@pytest.mark.parametrize("kind", list(MODELS))
def test_an_entry_adds_the_same_whatever_the_order_and_the_company(
    explained: dict[str, Explained], kind: str
) -> None:
    one, other = [(3, 5.0), (8, 1.0), (20, np.nan)], [(8, 2.0), (1, 4.0)]
    alone = queries(kind, [one])
    together = queries(kind, [other, [], one], seed=5)
    alone = Queries(alone.history, alone.ratings, together.features[2:])
    item_rows = np.array([[7, 2, 8]], np.int32)

    added, base = explained[kind](together, np.array([[0, 1, 2], [3, 4, 5], *item_rows], np.int32))
    expected, expected_base = explained[kind](alone, item_rows)

    row_of = {int(item): row for row, (_, item) in enumerate(alone.history)}
    mine = np.flatnonzero(together.history[:, 0] == 2)
    of_entries = [row_of[int(item)] for item in together.history[mine, 1]]
    assert added[mine] == pytest.approx(expected[of_entries], abs=1e-4)
    assert base[2] == pytest.approx(expected_base[0], abs=1e-4)


def test_in_a_pooled_query_an_entry_adds_its_vector_over_the_number_of_entries_and_the_prior(
    explained: dict[str, Explained],
) -> None:
    model = explained["pooled"].model
    tower, items = model.stages.query_tower, model.embeddings.items
    asked = queries("pooled", [[(4, 1.0), (9, np.nan)], []])
    item_rows = np.array([[6, 0], [6, 6]], np.int32)

    added, base = explained["pooled"](asked, item_rows)

    vectors = tower._history_vectors.numpy()
    for row, (position, item) in enumerate(asked.history):
        expected = items[item_rows[position], :-1] @ vectors[item] / (2 + PRIOR)
        assert added[row] == pytest.approx(expected, abs=1e-5)
    profile = asked.features @ tower._weights.numpy() + tower._start.numpy()
    for position in range(2):
        expected = items[item_rows[position]] @ np.append(profile[position], 1)
        assert base[position] == pytest.approx(expected, abs=1e-5)


def test_in_ials_an_entry_adds_its_share_of_the_solved_system(
    explained: dict[str, Explained],
) -> None:
    items = explained["ials alone"].model.embeddings.items.astype(np.float64)
    step = explained["ials alone"].model.stages.query_tower._user_step
    mine, confidences = [2, 5, 11], np.array([0.6, 1.0, 1.0])  # of 1 star, 5 and none
    asked = queries("ials alone", [[(2, 1.0), (5, 5.0), (11, np.nan)]])
    alpha = CONFIG.ials_alpha
    l2 = CONFIG.ials_l2 * (3 + alpha * ITEMS) ** CONFIG.ials_l2_power
    system = alpha * items.T @ items + items[mine].T @ np.diag(confidences) @ items[mine]
    system += l2 * np.eye(items.shape[1])

    added, base = explained["ials alone"](asked, np.array([[7, 28]], np.int32))

    assert step._scale.confidence(np.array([1, 5, np.nan], np.float32)) == pytest.approx(
        confidences
    )
    pulled = np.linalg.solve(system, (items[mine] * (confidences + alpha)[:, None]).T).T
    of_item = dict(zip(mine, pulled @ items[[7, 28]].T, strict=True))
    expected = [of_item[int(item)] for item in asked.history[:, 1]]
    assert added == pytest.approx(np.array(expected), abs=1e-5)
    assert not base.any()


def test_in_the_blend_an_entry_adds_its_part_of_both_standardised_scores(
    explained: dict[str, Explained],
) -> None:
    model = explained["ease and ials"].model
    blended, basis = model.stages.query_tower._blended, model.embeddings.items
    asked = queries("ease and ials", [[(2, 1.0), (5, 5.0), (11, np.nan)]])
    of_ials = blended._user_step.oracle(asked) @ blended._user_step.items.numpy().T
    of_ease = blended._item_item.numpy()[asked.history[:, 1]].astype(np.float64)
    # iALS is linear in the pull of its entries: without the others, the same system.
    alone, _ = explained["ials alone"](asked, np.arange(ITEMS, dtype=np.int32)[None, :])
    parts = (of_ease - of_ease.mean(axis=1, keepdims=True)) / of_ease.sum(axis=0).std()
    parts += CONFIG.blend * (alone - alone.mean(axis=1, keepdims=True)) / of_ials.std(axis=1)

    added, base = explained["ease and ials"](asked, np.array([[7, 28, 2]], np.int32))

    assert added == pytest.approx(parts @ basis @ basis[[7, 28, 2]].T, abs=1e-4)
    assert not base.any()


def test_on_any_basis_what_entries_add_is_the_score(explained: dict[str, Explained]) -> None:
    # The learnt directions have a mean of nearly 0; these do not.
    blended = explained["ease and ials"].model.stages.query_tower._blended
    basis = np.linalg.qr(np.random.default_rng(0).normal(1.0, 1.0, (ITEMS, 5)))[0]
    tower = HistoryTower(blended, basis.astype(np.float32))
    asked = queries("ease and ials", [[(2, 1.0), (5, 5.0), (11, np.nan)], [(7, 2.0)]])
    vectors = np.tile(basis[[3, 4]].astype(np.float32), (2, 1, 1))

    added, _ = tower.contributions(asked.history, asked.ratings, asked.features, vectors)

    expected = np.einsum("bl,bml->bm", tower.oracle(asked), vectors)
    assert summed(asked, added.numpy()) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("kind", ["ease and ials", "ials alone"])
def test_where_a_history_says_nothing_the_base_is_all(
    explained: dict[str, Explained], kind: str
) -> None:
    model = explained[kind].model
    asked = queries(kind, [[(NOBODYS, 5.0)], [], [(4, 5.0)]])
    item_rows = np.array([[1, NOBODYS], [2, 0], [5, 6]], np.int32)

    added, base = explained[kind](asked, item_rows)

    of_mean = model.embeddings.items @ model.stages.query_tower.mean_query.numpy()
    assert not added[asked.history[:, 0] == 0].any()
    assert base[:2] == pytest.approx(of_mean[item_rows[:2]], abs=1e-5)
    assert not base[2].any()


def test_popularity_hears_no_history(explained: dict[str, Explained]) -> None:
    added, base = explained["popularity"](
        queries("popularity", [[(3, 5.0), (4, 1.0)]]), np.array([[7, 0]], np.int32)
    )

    assert added.tolist() == [[0, 0], [0, 0]]
    assert base.tolist() == [[7, 0]]
