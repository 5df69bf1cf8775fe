"""Trees in the graph against LightGBM's own predictions."""

import lightgbm as lgb
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from recserve_trainer.learning.trees import Forests, forest_oracle

pytestmark = pytest.mark.tensorflow

QUIET = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 1, "min_data_in_bin": 1}


def booster(
    features: NDArray[np.float32], labels: NDArray[np.float64], trees: int, **parameters: object
) -> lgb.Booster:
    dataset = lgb.Dataset(features, labels, params=QUIET)
    return lgb.train({"objective": "regression", **QUIET, **parameters}, dataset, trees)


def draw(seed: int, rows: int, width: int, grid: float) -> NDArray[np.float32]:
    drawn = np.random.default_rng(seed).normal(size=(rows, width))
    # On a grid, so that values lie on thresholds' sides as narrowly as they can, and repeat.
    return (np.round(drawn / grid) * grid).astype(np.float32)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    leaves=st.integers(2, 31),
    depth=st.sampled_from([-1, 1, 3]),
    grid=st.sampled_from([1e-6, 0.1, 1.0]),
)
def test_the_graph_walks_trees_as_lightgbm_does(
    seed: int, leaves: int, depth: int, grid: float
) -> None:
    features = draw(seed, 300, 5, grid)
    labels = np.sin(3 * features[:, 0]) + features[:, 1] * (features[:, 2] > 0)
    boosters = [
        booster(features, labels * sign, trees, num_leaves=leaves, max_depth=depth)
        for sign, trees in ((1, 7), (-1, 3))
    ]
    asked = np.arange(300, dtype=np.int32) % 2

    found = Forests(boosters).scores(tf.constant(features), tf.constant(asked)).numpy()

    assert found == pytest.approx(forest_oracle(boosters, features, asked), abs=1e-6)
    alone = boosters[1].predict(features[1::2])
    assert found[1::2] == pytest.approx(alone, abs=1e-6)


def test_the_nearest_floats_fall_on_the_sides_of_a_threshold_they_fall_on_in_lightgbm() -> None:
    features = draw(3, 200, 1, 1e-3)
    model = booster(features, features[:, 0].astype(np.float64), 20, num_leaves=31)
    thresholds: list[float] = []

    def collect(node: dict[str, object]) -> None:
        if "threshold" in node:
            thresholds.append(node["threshold"])  # type: ignore[arg-type]
            collect(node["left_child"])  # type: ignore[arg-type]
            collect(node["right_child"])  # type: ignore[arg-type]

    for tree in model.dump_model()["tree_info"]:
        collect(tree["tree_structure"])
    nearest = np.array(thresholds).astype(np.float32)
    around = np.concatenate(
        [nearest, np.nextafter(nearest, np.float32(-9)), np.nextafter(nearest, np.float32(9))]
    )[:, None]

    found = Forests([model]).scores(tf.constant(around), tf.zeros(len(around), tf.int32))

    assert found.numpy() == pytest.approx(model.predict(around), abs=1e-6)


def test_the_depth_is_that_of_the_deepest_tree() -> None:
    features = draw(0, 200, 3, 1e-3)
    labels = features.sum(axis=1).astype(np.float64)

    flat = booster(features, labels, 4, num_leaves=8, max_depth=3)

    assert Forests([flat]).depth == 3
    assert Forests([flat, booster(features, labels, 2, max_depth=5)]).depth == 5


def test_a_model_that_could_not_split_is_its_constant() -> None:
    features = np.zeros((20, 2), np.float32)
    model = booster(features, np.full(20, 2.5), 3)

    found = Forests([model]).scores(tf.constant(features), tf.zeros(20, tf.int32)).numpy()

    assert found == pytest.approx(model.predict(features), abs=1e-6)
    assert found == pytest.approx(2.5)


def test_trees_that_compare_by_category_or_place_missing_values_are_refused() -> None:
    features = draw(0, 200, 2, 1.0)
    labels = features[:, 0].astype(np.float64)
    with_nan = features.copy()
    with_nan[::3, 0] = np.nan

    with pytest.raises(ValueError, match="'<=' with missing values as 'NaN', must be"):
        Forests([booster(with_nan, labels, 2)])
    dataset = lgb.Dataset(np.abs(features), labels, categorical_feature=[0], params=QUIET)
    parameters = {"objective": "regression", "min_data_per_group": 1, **QUIET}
    by_category = lgb.train(parameters, dataset, 2)
    with pytest.raises(ValueError, match="a tree compares by '=='"):
        Forests([by_category])
