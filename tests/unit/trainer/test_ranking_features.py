"""A ranker's features against plain Python, and graph against NumPy to the last bit."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from recserve_trainer.interactions import Dataset, Histories, Interactions
from recserve_trainer.learning.ranking_features import FeatureTables, Products, RankingFeatures
from recserve_trainer.learning.ranking_tables import build_tables
from recserve_trainer.retrieval import Embeddings
from recserve_trainer.tables import ItemTable, UserTable, category_column, number_column

pytestmark = pytest.mark.tensorflow

USERS, ITEMS, LENGTH, CANDIDATES = 9, 30, 4, 12
RANDOM = np.random.default_rng(5)
TAKEN = [
    (user, item) for user in range(USERS - 1) for item in range(ITEMS) if RANDOM.random() < 0.3
]
TRAIN = Interactions(
    np.array([user for user, _ in TAKEN], np.int32),
    np.array([item for _, item in TAKEN], np.int32),
    RANDOM.integers(1, 6, len(TAKEN)).astype(np.float32),
    RANDOM.integers(0, 1000, len(TAKEN)),
)
KINDS = [["red", "round"], ["red"], ["blue"], [], ["blue", "round"]]
SIZES = [3.0, None, 5.0, 11.0]
DATASET = Dataset(
    "world",
    "1",
    UserTable(
        [str(user) for user in range(USERS)],
        {
            "job": category_column(["cook", "cook", None, *["clerk", "cook", "clerk"] * 2]),
            "age": number_column([20, 30, 40, None, 50, 60, 70, 80, 90]),
        },
    ),
    ItemTable(
        [str(item) for item in range(ITEMS)],
        ["Title"] * ITEMS,
        {
            "kind": category_column([KINDS[item % 5] for item in range(ITEMS)]),
            "size": number_column([SIZES[item % 4] for item in range(ITEMS)]),
        },
    ),
    TRAIN,
)
EMBEDDINGS = Embeddings(
    RANDOM.normal(size=(USERS, LENGTH)).astype(np.float32),
    RANDOM.normal(size=(ITEMS, LENGTH)).astype(np.float32),
)
TABLES = build_tables(DATASET, TRAIN, EMBEDDINGS, CANDIDATES)
EVERYBODY = np.arange(USERS, dtype=np.int32)
EVERYTHING = np.tile(np.arange(ITEMS, dtype=np.int32), (USERS, 1))
FEATURES = TABLES.compute(EVERYBODY, EVERYTHING)


def feature(name: str) -> np.ndarray:
    return FEATURES[:, :, TABLES.names.index(name)]


def history(user: int) -> list[int]:
    return [item for each, item in TAKEN if each == user]


def test_every_column_makes_its_features_and_no_other_is_there() -> None:
    assert TABLES.names == (
        "retrieval",
        "kind_taste",
        "kind_liking",
        "retrieval_rank",
        "retrieval_gap",
        "popularity_difference",
        "size_difference",
        "popularity",
        "history_length",
        "job_lift",
        "age_lift",
    )
    bare = Dataset(
        "bare",
        "1",
        UserTable(DATASET.users.ids),
        ItemTable(DATASET.items.ids, ["T"] * ITEMS),
        TRAIN,
    )
    assert build_tables(bare, TRAIN, EMBEDDINGS, CANDIDATES).names == (
        "retrieval",
        "retrieval_rank",
        "retrieval_gap",
        "popularity_difference",
        "popularity",
        "history_length",
    )
    assert FEATURES.shape == (USERS, ITEMS, len(TABLES.names))
    assert np.isfinite(FEATURES).all()


def test_the_retrieval_score_has_a_deviation_of_1_for_every_user() -> None:
    scores = EMBEDDINGS.users @ EMBEDDINGS.items.T

    assert feature("retrieval") == pytest.approx(
        scores / scores.std(axis=1, keepdims=True), abs=0.01
    )


def test_rank_and_gap_are_counted_among_what_the_user_has_not_taken() -> None:
    scores = feature("retrieval")
    for user in range(USERS):
        unseen = sorted(scores[user, item] for item in set(range(ITEMS)) - set(history(user)))
        unseen = unseen[::-1]
        for item in range(ITEMS):
            above = sum(other > scores[user, item] for other in unseen[:CANDIDATES])
            assert feature("retrieval_rank")[user, item] == above
        assert feature("retrieval_gap")[user] == pytest.approx(scores[user] - unseen[9], abs=1e-6)


def test_taste_is_the_share_of_an_items_values_beside_everybodys() -> None:
    def shares(items: list[int]) -> dict[str, float]:
        return {
            value: sum((value in KINDS[item % 5]) / max(1, len(KINDS[item % 5])) for item in items)
            / len(items)
            for value in ("red", "round", "blue")
        }

    everybody = shares([item for _, item in TAKEN])
    for user in range(USERS - 1):
        own = shares(history(user))
        for item in range(ITEMS):
            kinds = KINDS[item % 5]
            expected = sum(own[kind] - everybody[kind] for kind in kinds) / max(1, len(kinds))
            assert feature("kind_taste")[user, item] == pytest.approx(expected, abs=2e-3)


def test_liking_is_how_much_higher_a_user_rates_what_has_the_value() -> None:
    ratings = {pair: float(rating) for pair, rating in zip(TAKEN, TRAIN.ratings, strict=True)}
    overall = sum(ratings.values()) / len(ratings)

    def of_item(item: int) -> float:
        own = [rating for (_, each), rating in ratings.items() if each == item]
        return (sum(own) + 10 * overall) / (len(own) + 10)

    for user in (0, 3):
        residuals = {item: ratings[user, item] - of_item(item) for item in history(user)}
        mean = sum(residuals.values()) / len(residuals)
        liking = {}
        for kind in ("red", "round", "blue"):
            share = {i: (kind in KINDS[i % 5]) / max(1, len(KINDS[i % 5])) for i in residuals}
            total = sum(share[item] * (residual - mean) for item, residual in residuals.items())
            liking[kind] = total / (sum(share.values()) + 3)
        for item in range(ITEMS):
            kinds = KINDS[item % 5]
            expected = sum(liking[kind] for kind in kinds) / max(1, len(kinds))
            assert feature("kind_liking")[user, item] == pytest.approx(expected, abs=5e-3)


def test_differences_are_from_the_mean_of_the_users_history() -> None:
    counts = [sum(other == item for _, other in TAKEN) for item in range(ITEMS)]
    logs = [math.log1p(count) for count in counts]
    known = [size for size in (SIZES[item % 4] for item in range(ITEMS)) if size is not None]
    mean, deviation = float(np.mean(known)), float(np.std(known))
    sizes = [((SIZES[i % 4] or mean) - mean) / deviation for i in range(ITEMS)]

    for user in range(USERS - 1):
        mine = history(user)
        for name, values in (("popularity_difference", logs), ("size_difference", sizes)):
            usual = sum(values[item] for item in mine) / len(mine)
            expected = [value - usual for value in values]
            assert feature(name)[user] == pytest.approx(expected, abs=1e-5)
        assert feature("popularity")[user] == pytest.approx(logs, abs=1e-6)
        assert feature("history_length")[user] == pytest.approx(math.log1p(len(mine)), abs=1e-6)


def test_a_lift_is_how_much_more_a_users_group_takes_an_item() -> None:
    jobs = ["cook", "cook", None, *["clerk", "cook", "clerk"] * 2]
    for user, job in enumerate(jobs):
        taken = [item for each, item in TAKEN if jobs[each] == job]
        for item in range(ITEMS):
            share = sum(other == item for _, other in TAKEN) / len(TAKEN)
            lift = math.log((taken.count(item) + 10) / (len(taken) * share + 10))
            expected = 0.0 if job is None else lift
            assert feature("job_lift")[user, item] == pytest.approx(expected, abs=1e-6)
    assert (feature("age_lift")[3] == 0).all()
    assert (feature("age_lift")[[0, 4, 7]] != 0).any()


@pytest.mark.parametrize("batch", [1, 4, USERS])
def test_the_graph_computes_the_same_to_the_last_bit(batch: int) -> None:
    graph = tf.function(RankingFeatures(TABLES).compute)
    items = RANDOM.permuted(EVERYTHING, axis=1)[:batch, :17].copy()

    found = graph(tf.constant(EVERYBODY[:batch]), tf.constant(items)).numpy()

    assert (found == TABLES.compute(EVERYBODY[:batch], items)).all()
    # Nor does a feature depend on the other items, or users, that are asked for.
    assert (found == np.take_along_axis(FEATURES[:batch], items[:, :, None], axis=1)).all()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16), width=st.integers(1, 200), spread=st.integers(-12, 12))
def test_products_are_exact_in_any_order_of_summation(seed: int, width: int, spread: int) -> None:
    random = np.random.default_rng(seed)
    users = random.normal(size=(5, 2, width)) * 2.0**spread
    items = random.normal(size=(7, width)) * np.exp(random.normal(size=(7, 1)))

    products = Products.of(users, items)

    whole = products.users.astype(np.int64) @ products.items.astype(np.int64).T
    assert np.abs(whole).max() < 2**24
    order = random.permutation(width)
    shuffled = products.users[..., order].astype(np.float32) @ (
        products.items[:, order].astype(np.float32).T
    )
    assert (shuffled == whole).all()
    scores = whole * products.scales[:, None]
    largest = np.linalg.norm(users, axis=2).max() * np.linalg.norm(items, axis=1).max()
    assert np.abs(scores - users @ items.T).max() < 0.01 * largest


def test_a_user_who_has_taken_everything_has_features_all_the_same() -> None:
    everything = Interactions(
        np.zeros(ITEMS, np.int32),
        np.arange(ITEMS, dtype=np.int32),
        np.full(ITEMS, np.nan, np.float32),
        np.zeros(ITEMS, np.int64),
    )

    tables: FeatureTables = build_tables(DATASET, everything, EMBEDDINGS, CANDIDATES)

    found = tables.compute(EVERYBODY, EVERYTHING)
    assert np.isfinite(found).all()
    assert (found[0, :, tables.names.index("retrieval_rank")] == 0).all()
    graph = RankingFeatures(tables).compute(tf.constant(EVERYBODY), tf.constant(EVERYTHING))
    assert (graph.numpy() == found).all()
    assert len(Histories.of(USERS, everything)[0]) == ITEMS
