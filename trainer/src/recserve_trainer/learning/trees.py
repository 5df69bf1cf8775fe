"""Boosted trees of LightGBM as plain TensorFlow: gathers, no library needed to serve them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import lightgbm as lgb
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


@dataclass(slots=True)
class _Nodes:
    """The nodes of all trees, one after the other; a leaf is followed by itself."""

    features: list[int] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    children: list[list[int]] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    depth: int = 0

    def add(self, node: dict[str, Any], level: int = 0) -> int:
        """Adds a node and all below it, and returns its place."""
        place = len(self.features)
        is_leaf = "leaf_value" in node
        if not is_leaf:
            _check(node)
        self.features.append(0 if is_leaf else int(node["split_feature"]))
        self.thresholds.append(np.inf if is_leaf else _float32_below(node["threshold"]))
        self.children.append([place, place])
        self.values.append(float(node["leaf_value"]) if is_leaf else 0.0)
        self.depth = max(self.depth, level)
        if not is_leaf:
            for side, name in enumerate(("left_child", "right_child")):
                self.children[place][side] = self.add(node[name], level + 1)
        return place


class Forests(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """Forests over the same features; every row asks one of them, and sums its trees' leaves.

    Takes finite float32 features. A comparison is then LightGBM's own: thresholds, which it keeps
    in float64, are rounded down to the next float32, which no float32 lies between.
    """

    def __init__(self, boosters: Sequence[lgb.Booster]) -> None:
        """Takes over all trees of each booster.

        Raises:
            ValueError: a tree compares in a way that is not known here: by category, or with a
                place for missing values, as in training on NaN.
        """
        super().__init__(name="forests")
        nodes = _Nodes()
        roots = [[nodes.add(tree) for tree in _trees(booster)] for booster in boosters]
        nothing = nodes.add({"leaf_value": 0.0})
        most = max(map(len, roots))
        padded = [[*own, *[nothing] * (most - len(own))] for own in roots]
        self.depth = nodes.depth
        """Comparisons from a root to the deepest leaf."""
        self._roots = tf.constant(np.array(padded, np.int32).reshape(len(roots), most))
        self._features = tf.constant(nodes.features, tf.int32)
        self._thresholds = tf.constant(nodes.thresholds, tf.float32)
        self._children = tf.constant(np.array(nodes.children).ravel(), tf.int32)
        self._values = tf.constant(nodes.values, tf.float64)

    def scores(self, features: tf.Tensor, forests: tf.Tensor) -> tf.Tensor:
        """Walks all trees of the chosen forest at once.

        Args:
            features: float32 [n, width], finite.
            forests: int32 [n], which of the forests each row asks.

        Returns:
            float64 [n].
        """
        nodes = tf.gather(self._roots, forests)
        for _ in range(self.depth):
            values = tf.gather(features, tf.gather(self._features, nodes), batch_dims=1)
            is_right = tf.cast(values > tf.gather(self._thresholds, nodes), tf.int32)
            nodes = tf.gather(self._children, 2 * nodes + is_right)
        return tf.reduce_sum(tf.gather(self._values, nodes), axis=1)


def forest_oracle(
    boosters: Sequence[lgb.Booster], features: NDArray[np.float32], forests: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Scores as `Forests.scores` does, by LightGBM's own predictions."""
    scores = np.zeros(len(features))
    for forest, booster in enumerate(boosters):
        is_asked = forests == forest
        if is_asked.any():
            scores[is_asked] = booster.predict(features[is_asked], raw_score=True, num_threads=1)
    return scores


def _trees(booster: lgb.Booster) -> Iterator[dict[str, Any]]:
    for tree in booster.dump_model()["tree_info"]:
        yield tree["tree_structure"]


def _check(node: dict[str, Any]) -> None:
    found = (node["decision_type"], node["missing_type"])
    if found != ("<=", "None"):
        raise ValueError(
            f"a tree compares by {found[0]!r} with missing values as {found[1]!r}, must be '<=' "
            "with 'None': no categories, no NaN"
        )


def _float32_below(threshold: float) -> float:
    nearest = np.float32(np.clip(threshold, -np.finfo(np.float32).max, np.finfo(np.float32).max))
    if float(nearest) > threshold:
        nearest = np.nextafter(nearest, np.float32(-np.inf))
    return float(nearest)
