"""From attributes to vectors that another model has learnt, by ridge regression.

Gantner et al., "Learning attribute-to-feature mappings for cold-start recommendations", 2010: what
has no vector of its own gets the one that its attributes make likely.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.features import Feature, encode_in_pieces, fit_features
from recserve_trainer.tables import Column


class NormalEquations:
    """Weighted least squares with a constant, gathered piece by piece: no row is kept."""

    def __init__(self, width: int, target_width: int) -> None:
        self._gram = np.zeros((width + 1, width + 1))
        self._moments = np.zeros((width + 1, target_width))

    def add(
        self,
        features: NDArray[np.floating],
        targets: NDArray[np.floating],
        weights: NDArray[np.floating] | None = None,
    ) -> None:
        """Takes rows in: [n, width], [n, target width] and a weight each, 1 if not given."""
        rows = _with_constant(features)
        weighted = rows if weights is None else rows * weights[:, None]
        self._gram += weighted.T @ rows
        self._moments += weighted.T @ targets

    def solve(self, l2: float) -> NDArray[np.floating]:
        """Minimises sum of weight * |row @ W - target|^2 + l2 |W|^2, the constant not penalised.

        Returns:
            float64 [width + 1, target width], the last row the constant.
        """
        penalty = np.full(len(self._gram), l2)
        # Where nothing was taken in, the constant is zero instead of anything.
        penalty[-1] = 1e-9
        return np.linalg.solve(self._gram + np.diag(penalty), self._moments)


@dataclass(frozen=True, slots=True)
class Attributes:
    """Columns, a value per row each, and how they are encoded."""

    columns: dict[str, Column]
    features: tuple[Feature, ...]

    @classmethod
    def of(cls, columns: dict[str, Column], known_rows: NDArray[np.int32]) -> Self:
        """Learns the encoding from the rows that training knows."""
        return cls(columns, fit_features(columns, known_rows))


def learn_mapping(
    attributes: Attributes,
    targets: NDArray[np.float32],
    weights: NDArray[np.floating],
    l2: float,
) -> NDArray[np.floating]:
    """Learns vectors from attributes where rows have a weight.

    Args:
        attributes: of `rows` rows.
        targets: float32 [rows, length].
        weights: [rows], 0 for rows without a vector; scaled to a mean of 1 over all rows.
        l2: weight of the squared weights.

    Returns:
        float64 [sum of the features' widths + 1, length], the last row the constant.
    """
    columns, features = attributes.columns, attributes.features
    equations = NormalEquations(sum(each.width for each in features), targets.shape[1])
    weights = weights / max(float(weights.mean()), 1e-12)
    for rows, encoded in encode_in_pieces(features, columns, len(targets)):
        equations.add(encoded, targets[rows], weights[rows])
    return equations.solve(l2)


def apply_mapping(
    attributes: Attributes, mapping: NDArray[np.floating], row_count: int
) -> NDArray[np.float32]:
    """Returns the vectors that `learn_mapping`'s result gives all rows: [row_count, length]."""
    mapped = np.empty((row_count, mapping.shape[1]), np.float32)
    for rows, encoded in encode_in_pieces(attributes.features, attributes.columns, row_count):
        mapped[rows] = _with_constant(encoded) @ mapping
    return mapped


def map_attributes(
    attributes: Attributes,
    targets: NDArray[np.float32],
    weights: NDArray[np.floating],
    l2: float,
) -> NDArray[np.float32]:
    """Learns a mapping and applies it; arguments as of `learn_mapping`.

    Returns:
        float32 [rows, length].
    """
    mapping = learn_mapping(attributes, targets, weights, l2)
    return apply_mapping(attributes, mapping, len(targets))


def _with_constant(features: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.concatenate([features, np.ones((len(features), 1), features.dtype)], axis=1)
