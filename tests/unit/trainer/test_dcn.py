"""Predicted ratings, their errors against plain Python, and the network as a second stage."""

import math
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from recserve_trainer.benchmark_ratings import RatingBenchmarkConfig
from recserve_trainer.commands import ratings
from recserve_trainer.errors import TrainerError, UsageError
from recserve_trainer.fit_configs import RankingConfig
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.learning.dcn import RatingConfig
from recserve_trainer.learning.dcn_ranker import DcnRanker, fit_networks, network, network_oracle
from recserve_trainer.learning.ranking_lists import RankingLists
from recserve_trainer.learning.ranking_tables import build_tables
from recserve_trainer.learning.rating_prediction import (
    RatingPredictor,
    fit_ratings,
    rating_inputs,
    rating_metrics,
)
from recserve_trainer.retrieval import Embeddings
from recserve_trainer.tables import ItemTable, UserTable, category_column

pytestmark = pytest.mark.tensorflow

USERS, ITEMS = 24, 30
RANDOM = np.random.default_rng(1)
CONFIG = RatingConfig(epochs=12, batch_size=64, dimension=4, members=2, learning_rate=0.01, l2=0.01)


def make_ratings() -> tuple[Interactions, Interactions]:
    """Users of two kinds rate items of two kinds high or low; a quarter is held out."""
    users, items = np.nonzero(RANDOM.random((USERS, ITEMS)) < 0.6)
    stars = np.where(users % 2 == items % 2, 4.5, 2.0) + RANDOM.choice([-0.5, 0.5], len(users))
    every = Interactions(
        users.astype(np.int32),
        items.astype(np.int32),
        stars.astype(np.float32),
        np.zeros(len(users), np.int64),
    )
    # The last user and the last item are only in the test part.
    is_test = (RANDOM.random(len(users)) < 0.25) | (users == USERS - 1) | (items == ITEMS - 1)
    return every.take(np.flatnonzero(~is_test)), every.take(np.flatnonzero(is_test))


TRAIN, TEST = make_ratings()
DATASET = Dataset(
    "world",
    "1",
    UserTable(
        [str(user) for user in range(USERS)],
        {"kind": category_column([("even", "odd")[user % 2] for user in range(USERS)])},
    ),
    ItemTable(
        [str(item) for item in range(ITEMS)],
        ["Title"] * ITEMS,
        {"kind": category_column([("even", "odd")[item % 2] for item in range(ITEMS)])},
    ),
    TRAIN,
)


@pytest.fixture(scope="module")
def predictor() -> RatingPredictor:
    return fit_ratings(DATASET, TRAIN, CONFIG)


def test_ratings_are_predicted_better_than_by_their_mean(predictor: RatingPredictor) -> None:
    predicted = predictor.predict(TEST.user_rows, TEST.item_rows)

    by_mean = rating_metrics(np.full(len(TEST), TRAIN.ratings.mean(), np.float32), TEST)
    found = rating_metrics(predicted, TEST)
    assert found.rmse < 0.75 * by_mean.rmse
    assert found.ndcg > by_mean.ndcg
    assert predicted.min() >= TRAIN.ratings.min()
    assert predicted.max() <= TRAIN.ratings.max()
    assert np.isfinite(predicted).all()


@pytest.mark.long
def test_the_same_seed_predicts_the_same(predictor: RatingPredictor) -> None:
    again = fit_ratings(DATASET, TRAIN, CONFIG).predict(TEST.user_rows, TEST.item_rows)

    assert again == pytest.approx(predictor.predict(TEST.user_rows, TEST.item_rows), abs=1e-5)


def test_the_errors_are_those_of_the_formulas() -> None:
    test = Interactions(
        np.array([0, 0, 0, 1], np.int32),
        np.array([3, 1, 2, 0], np.int32),
        np.array([5, 1, 3, 2], np.float32),
        np.zeros(4, np.int64),
    )

    found = rating_metrics(np.array([2, 4, 4, 1], np.float32), test)

    assert found.rmse == pytest.approx(math.sqrt((9 + 9 + 1 + 1) / 4))
    assert found.mae == pytest.approx((3 + 3 + 1 + 1) / 4)
    # Items 1 and 2 are predicted alike, so item 1 is first.
    reached = 1 + 7 / math.log2(3) + 31 / 2
    ideal = 31 + 7 / math.log2(3) + 1 / 2
    assert found.ndcg == pytest.approx((reached / ideal + 1) / 2)
    assert found.by_name() == {"rmse": found.rmse, "mae": found.mae, "ndcg@10": found.ndcg}


def test_what_the_network_is_told_does_not_hold_the_ratings() -> None:
    other = Interactions(TRAIN.user_rows, TRAIN.item_rows, 6 - TRAIN.ratings, TRAIN.timestamps)

    told, told_other = rating_inputs(DATASET, TRAIN), rating_inputs(DATASET, other)

    assert (told.users == told_other.users).all()
    assert (told.items == told_other.items).all()
    assert not told.known_users[USERS - 1]
    assert not told.known_items[ITEMS - 1]
    assert np.isfinite(told.users).all()


def test_ratings_must_be_there() -> None:
    broken = Interactions(TRAIN.user_rows, TRAIN.item_rows, TRAIN.ratings.copy(), TRAIN.timestamps)
    broken.ratings[:2] = np.nan

    with pytest.raises(TrainerError, match=f"2 of {len(TRAIN)} training interactions have no"):
        fit_ratings(DATASET, broken, CONFIG)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--folds", "0-3"], "must be a fold or a range of folds from 1 to 5"),
        (["--folds", "x"], "--folds is 'x'"),
        (["--set", "depth=3"], "there is no setting 'depth', only batch_size"),
        (["--set", "epochs=few"], "epochs is 'few', must be of type int"),
        (["--set", "dropout=1"], "dropout is 1.0, must be from 0 to below 1"),
    ],
)
def test_wrong_usage_is_told(arguments: list[str], problem: str) -> None:
    parsed = ratings.parser().parse_args(["--archive", "absent.zip", *arguments])

    with pytest.raises(UsageError, match=problem):
        ratings.run(parsed)


def test_an_absent_archive_and_fold_are_told() -> None:
    with pytest.raises(TrainerError, match=r"archive absent\.zip does not exist"):
        ratings.run(ratings.parser().parse_args(["--archive", "absent.zip"]))
    with pytest.raises(ValueError, match=r"folds are \[6\], must be of 1 to 5"):
        RatingBenchmarkConfig(archive=Path("absent.zip"), folds=[6], fit=CONFIG)


def draw_lists(tables_of: Embeddings) -> tuple[RankingLists, DcnRanker]:
    tables = build_tables(DATASET, TRAIN, tables_of, 10)
    users = np.tile(np.arange(USERS, dtype=np.int32), 4)
    items = np.stack([RANDOM.choice(ITEMS, 9, replace=False) for _ in users])
    items = np.sort(items, axis=1).astype(np.int32)
    labels = (items % 2 == users[:, None] % 2).astype(np.int8)
    labels[:, 0] = 1
    scores = np.take_along_axis(tables_of.score(users), items, axis=1)
    lists = RankingLists(users, items, scores, tables.compute(users, items), labels)
    return lists, DcnRanker(tables, fit_networks(lists, RankingConfig(ranker="dcn")), 10)


def test_as_second_stage_the_graph_scores_as_the_oracle_does() -> None:
    embeddings = Embeddings(
        RANDOM.normal(size=(USERS, 3)).astype(np.float32),
        # The kind is in the retrieval score, as much as chance.
        np.column_stack([RANDOM.normal(size=(ITEMS, 2)), np.arange(ITEMS) % 2]).astype(np.float32),
    )
    lists, ranker = draw_lists(embeddings)
    scores = lists.retrieval_scores.copy()
    scores[::3, 4] = -np.inf

    found = tf.function(ranker.rank)(
        tf.constant(lists.user_rows), tf.constant(lists.item_rows), tf.constant(scores)
    ).numpy()

    assert np.isfinite(found).all()
    assert found == pytest.approx(ranker.oracle(lists.user_rows, lists.item_rows, scores), abs=1e-4)
    assert (found.max(axis=1) > found.min(axis=1)).all()


def test_the_network_is_that_of_the_formula() -> None:
    width, rows = 3, RANDOM.normal(size=(5, 3))
    weights = {
        "cross_0": RANDOM.normal(size=(width, width)),
        "cross_1": RANDOM.normal(size=(width, width)),
        "cross_bias_0": RANDOM.normal(size=width),
        "cross_bias_1": RANDOM.normal(size=width),
        "deep": RANDOM.normal(size=(width, 2)),
        "deep_bias": RANDOM.normal(size=2),
        "output": RANDOM.normal(size=width + 2),
    }
    narrow = {name: values.astype(np.float32) for name, values in weights.items()}

    scores = network_oracle(rows, narrow)

    for row, score in zip(rows, scores, strict=True):
        x = row
        for place in range(2):
            x = row * (x @ weights[f"cross_{place}"] + weights[f"cross_bias_{place}"]) + x
        deep = np.maximum(row @ weights["deep"] + weights["deep_bias"], 0)
        assert score == pytest.approx(np.concatenate([x, deep]) @ weights["output"], rel=1e-4)
    graph = network(tf.constant(rows, tf.float32), {k: tf.constant(v) for k, v in narrow.items()})
    assert graph.numpy() == pytest.approx(scores, abs=1e-4)
