"""iALS: vectors of users and items by alternating least squares over all pairs, seen or not.

Hu, Koren, Volinsky, "Collaborative filtering for implicit feedback datasets" (2008), with the
regularisation by frequency of Rendle et al., "Revisiting the performance of iALS on item
recommendation benchmarks" (2022). What is minimised, over users u and items i with vectors w, h:

    sum over interactions of c (w_u.h_i - 1)^2  +  alpha sum over all pairs (w_u.h_i - y)^2
    + l2 sum_u (n_u + alpha items)^power |w_u|^2  +  l2 sum_i (c_i + alpha users)^power |h_i|^2

where y is 1 for an interaction and 0 else, c is an interaction's confidence, n_u a user's
interactions and c_i an item's confidences in sum. Attributes of items take part as further users of
another weight.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.fit_configs import HistoryConfig

_ENTRIES_PER_BATCH = 2**16
_SYSTEMS_PER_BATCH = 1024


@dataclass(frozen=True, slots=True)
class RatingScale:
    """From a rating to the confidence that the interaction was liked."""

    lowest: float
    highest: float
    least_confidence: float

    @classmethod
    def of(cls, ratings: NDArray[np.float32], least_confidence: float) -> Self:
        """Takes the scale from the smallest to the largest of the training ratings."""
        known = ratings[np.isfinite(ratings)]
        if not len(known):
            return cls(0.0, 0.0, least_confidence)
        return cls(float(known.min()), float(known.max()), least_confidence)

    def confidence(self, ratings: NDArray[np.float32]) -> NDArray[np.float64]:
        """Rises from `least_confidence` at the lowest rating to 1 in the middle of the scale.

        Of 1 to 5 stars these are 0.6, 0.8, 1, 1, 1 where the least is 0.6. It is 1 where there is
        no rating (NaN), and for all if ratings do not vary.
        """
        span = self.highest - self.lowest
        if span <= 0:
            return np.ones(len(ratings))
        place = np.clip((ratings.astype(np.float64) - self.lowest) / span, 0, 1)
        confidence = np.minimum(1, self.least_confidence + 2 * (1 - self.least_confidence) * place)
        return np.where(np.isnan(confidence), 1, confidence)


@dataclass(frozen=True, slots=True)
class Confidences:
    """Interactions as a sparse matrix, each pair once, compressed by row."""

    offsets: NDArray[np.int64]
    """[rows + 1]; the entries of row r are `offsets[r]:offsets[r + 1]`."""
    columns: NDArray[np.int32]
    values: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        rows: NDArray[np.int32],
        columns: NDArray[np.int32],
        values: NDArray[np.float64],
        row_count: int,
    ) -> Self:
        """Sorts entries by row; a pair must not be there twice."""
        order = np.lexsort((columns, rows))
        counts = np.bincount(rows, minlength=row_count)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(offsets, columns[order], values[order])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def counts(self) -> NDArray[np.int64]:
        """[rows]: entries of each."""
        return np.diff(self.offsets)

    def sums(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns [rows]: of each the values in sum, times the weights [columns]."""
        rows = np.repeat(np.arange(len(self)), self.counts)
        weighted = self.values * weights[self.columns]
        return np.bincount(rows, weights=weighted, minlength=len(self)).astype(np.float64)

    def padded(self) -> Iterator[tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.float64]]]:
        """Yields batches of rows of similar length, so that they can be solved at once.

        Yields:
            Rows [n]; their columns and values [n, length], padded with column 0 and value 0. Rows
            without entries are left out.
        """
        counts = self.counts
        lengths = 2 ** np.ceil(np.log2(np.maximum(counts, 1))).astype(np.int64)
        for length in np.unique(lengths[counts > 0]):
            rows = np.flatnonzero((lengths == length) & (counts > 0))
            step = int(min(max(1, _ENTRIES_PER_BATCH // length), _SYSTEMS_PER_BATCH))
            for start in range(0, len(rows), step):
                batch = rows[start : start + step]
                is_entry = np.arange(length) < counts[batch, None]
                entries = np.where(is_entry, self.offsets[batch, None] + np.arange(length), 0)
                columns = np.where(is_entry, self.columns[entries], 0).astype(np.int32)
                yield batch, columns, np.where(is_entry, self.values[entries], 0)


@dataclass(frozen=True, slots=True)
class Columns:
    """The side that stays during a half-step."""

    vectors: NDArray[np.float64]
    """[columns, dimension]."""
    weights: NDArray[np.float64]
    """[columns]: what each of its pairs weighs, times its confidence."""


@dataclass(frozen=True, slots=True)
class Factors:
    """What iALS learns; score = user . item, near 1 for what a user takes, near 0 else."""

    users: NDArray[np.float64]
    """[users, dimension]; a user without interactions has zeros."""
    items: NDArray[np.float64]
    """[items, dimension]; an item without interactions and attributes has zeros."""


def fit_ials(by_user: Confidences, side: NDArray[np.float64], config: HistoryConfig) -> Factors:
    """Alternates from random item vectors, and ends with the users' step.

    Every attribute is one more user, who took the items that have it and weighs `ials_side_weight`
    users: items that are alike get vectors that are alike, those nobody took included.

    Args:
        by_user: confidences [users, items].
        side: [items, width] of 0 and 1, see `side_information`; of width 0 for none.
        config: dimension, weights and the number of alternations.

    A half-step takes about dimension^2 operations per interaction and dimension^3 per vector.
    """
    rows = _with_attributes(by_user, side if config.ials_side_weight else side[:, :0])
    weights = np.ones(len(rows))
    weights[len(by_user) :] = config.ials_side_weight
    row_of_entry = np.repeat(np.arange(len(rows), dtype=np.int32), rows.counts)
    by_item = Confidences.of(rows.columns, row_of_entry, rows.values, len(side))
    row_l2 = regularisation(rows.counts, len(side), config)
    item_l2 = regularisation(by_item.sums(weights), weights.sum(), config)
    deviation = 0.1 / config.ials_dimension**0.5
    shape = (len(side), config.ials_dimension)
    items: NDArray[np.float64] = np.random.default_rng(config.seed).normal(0, deviation, shape)
    of_same_weight = np.ones(len(side))
    for _ in range(config.ials_iterations):
        vectors = solve_rows(rows, Columns(items, of_same_weight), row_l2, config.ials_alpha)
        items = solve_rows(by_item, Columns(vectors, weights), item_l2, config.ials_alpha)
    vectors = solve_rows(rows, Columns(items, of_same_weight), row_l2, config.ials_alpha)
    return Factors(vectors[: len(by_user)], items)


def _with_attributes(by_user: Confidences, side: NDArray[np.float64]) -> Confidences:
    attributes, items = np.nonzero(side.T)
    counts = np.bincount(attributes, minlength=side.shape[1])
    return Confidences(
        np.concatenate([by_user.offsets, by_user.offsets[-1] + np.cumsum(counts)]),
        np.concatenate([by_user.columns, items.astype(np.int32)]),
        np.concatenate([by_user.values, np.ones(len(items))]),
    )


def regularisation(
    weights: NDArray[np.float64] | NDArray[np.int64], column_count: float, config: HistoryConfig
) -> NDArray[np.float64]:
    """Returns [rows], l2 (weight + alpha columns)^power: what a squared norm costs."""
    totals = np.asarray(weights, np.float64) + config.ials_alpha * column_count
    costs: NDArray[np.float64] = config.ials_l2 * totals**config.ials_l2_power
    return costs


def solve_rows(
    confidences: Confidences, columns: Columns, l2: NDArray[np.float64], alpha: float
) -> NDArray[np.float64]:
    """Minimises over every row's vector, while the columns' vectors stay.

    Solves (alpha sum_all g v v' + sum g c v v' + l2 I) x = sum g (c + alpha) v, where g and v are
    the columns' weights and vectors; sums without `all` are over the entries of a row.

    Returns:
        float64 [rows, dimension]; zeros for a row without entries.
    """
    vectors, weights = columns.vectors, columns.weights
    dimension = vectors.shape[1]
    solved = np.zeros((len(confidences), dimension))
    of_all = alpha * ((vectors.T * weights) @ vectors)
    diagonal = np.arange(dimension)
    for rows, entries, values in confidences.padded():
        of_row, weight = vectors[entries], weights[entries]
        systems = (of_row * (weight * values)[:, :, None]).transpose(0, 2, 1) @ of_row + of_all
        systems[:, diagonal, diagonal] += l2[rows, None]
        # Confidences are above 0, so that a value of 0 is padding.
        pull = np.where(values > 0, weight * (values + alpha), 0)
        targets = (pull[:, None, :] @ of_row)[:, 0]
        solved[rows] = np.linalg.solve(systems, targets[:, :, None])[:, :, 0]
    return solved
