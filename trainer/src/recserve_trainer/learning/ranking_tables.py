"""Builds the tables of a ranker's features from interactions and attributes."""

from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from recserve_trainer.evaluation.baselines import item_counts
from recserve_trainer.features import FeatureLimits, buckets_of, encode, fit_features, numbers_of
from recserve_trainer.interactions import Dataset, Histories, Interactions
from recserve_trainer.learning.ranking_features import FeatureTables, Products, best_scores
from recserve_trainer.retrieval import Embeddings
from recserve_trainer.tables import Column

_LIMITS: Final = FeatureLimits(most=64)
"""Rarer values say little of a user's taste or of a group's."""
_BUCKETS: Final = 6
_LIFT_PRIOR: Final = 10.0
"""Interactions of everybody that are added to those of a group with an item."""
_LIKING_PRIOR: Final = 3.0
"""Ratings of nothing special that are added to a user's own, of each value of an attribute."""


def build_tables(
    dataset: Dataset, train: Interactions, retrieval: Embeddings, candidates: int
) -> FeatureTables:
    """Learns the tables.

    Args:
        dataset: users and items with their attributes; what is not there has no features.
        train: what is known.
        retrieval: the first stage, fitted to the same.
        candidates: best scores of each user that ranks are counted in.
    """
    histories = Histories.of(len(dataset.users), train)
    counts = item_counts(train, len(dataset.items))
    product_names, products = _products(dataset, train, histories, retrieval)
    number_names, item_numbers, user_numbers = _numbers(dataset, histories, counts)
    lift_names, lifts, user_groups = _lifts(dataset, train, counts)
    return FeatureTables(
        names=(*product_names, "retrieval_rank", "retrieval_gap", *number_names, *lift_names),
        products=products,
        best=best_scores(products, histories, candidates),
        item_numbers=item_numbers,
        user_numbers=user_numbers,
        lifts=lifts,
        user_groups=user_groups,
    )


def _products(
    dataset: Dataset, train: Interactions, histories: Histories, retrieval: Embeddings
) -> tuple[list[str], Products]:
    """The retrieval score, then two products in dimensions of its own for each attribute.

    A user's taste is the share of each value in the history, less that of everybody's; the liking
    is how much higher the user rates what has the value, after item and user are accounted for.
    """
    user_count = len(dataset.users)
    counts = item_counts(train, len(dataset.items))
    known = np.flatnonzero(counts).astype(np.int32)
    names, blocks = ["retrieval"], [retrieval.items.astype(np.float64)]
    users = [(0, _standardised(retrieval))]
    for name, column in dataset.items.columns.items():
        if column.kind != "category":
            continue
        shares = _attribute_shares(name, column, known)
        everybody = counts @ shares / max(counts.sum(), 1)
        users.append((len(blocks), _means(histories, shares, everybody) - everybody))
        users.append((len(blocks), _likings(train, shares, user_count)))
        names += [f"{name}_taste", f"{name}_liking"]
        blocks.append(shares)
    starts = np.cumsum([0, *(block.shape[1] for block in blocks)])
    vectors = np.zeros((user_count, len(names), starts[-1]))
    for feature, (block, of_users) in enumerate(users):
        vectors[:, feature, starts[block] : starts[block + 1]] = of_users
    return names, Products.of(vectors, np.concatenate(blocks, axis=1))


def _standardised(retrieval: Embeddings) -> NDArray[np.float64]:
    """Returns the user vectors, scaled so that a user's scores of all items have deviation 1."""
    users, items = retrieval.users.astype(np.float64), retrieval.items.astype(np.float64)
    centred = items - items.mean(axis=0)
    covariance = centred.T @ centred / len(items)
    deviations = np.sqrt(np.maximum(((users @ covariance) * users).sum(axis=1), 1e-12))
    scaled: NDArray[np.float64] = users / deviations[:, None]
    return scaled


def _likings(
    train: Interactions, shares: NDArray[np.float64], user_count: int
) -> NDArray[np.float64]:
    ratings = np.nan_to_num(train.ratings.astype(np.float64), nan=0.0)
    of_items = np.bincount(train.item_rows, ratings, len(shares))
    rating_counts = np.bincount(train.item_rows, minlength=len(shares))
    overall = ratings.mean() if len(ratings) else 0.0
    of_items = (of_items + _LIFT_PRIOR * overall) / (rating_counts + _LIFT_PRIOR)
    residuals = ratings - of_items[train.item_rows]
    user_counts = np.bincount(train.user_rows, minlength=user_count)
    of_users = np.bincount(train.user_rows, residuals, user_count) / np.maximum(user_counts, 1)
    residuals -= of_users[train.user_rows]
    likings, weights = np.zeros((2, user_count, shares.shape[1]))
    np.add.at(likings, train.user_rows, residuals[:, None] * shares[train.item_rows])
    np.add.at(weights, train.user_rows, shares[train.item_rows])
    return likings / (weights + _LIKING_PRIOR)


def _attribute_shares(
    name: str, column: Column, known_rows: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Returns [items, values]: 1 shared out among the values that an item has."""
    columns = {name: column}
    features = fit_features(columns, known_rows, _LIMITS)
    values = encode(features, columns, len(column.values)).astype(np.float64)
    shares: NDArray[np.float64] = values / np.maximum(values.sum(axis=1, keepdims=True), 1)
    return shares


def _means(
    histories: Histories, values: NDArray[np.float64], default: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns [users, width]: means of the items' values over each history, or the default."""
    means = np.tile(default, (len(histories), 1))
    for row in range(len(histories)):
        if len(items := histories[row]):
            means[row] = values[items].mean(axis=0)
    return means


def _numbers(
    dataset: Dataset, histories: Histories, counts: NDArray[np.int64]
) -> tuple[list[str], NDArray[np.float32], NDArray[np.float32]]:
    """Popularity, length of the history, and how far an item is from what the user is used to."""
    popularity = np.log1p(counts.astype(np.float64))
    names, columns = ["popularity_difference"], [popularity]
    for name, column in dataset.items.columns.items():
        if column.kind == "number":
            names.append(f"{name}_difference")
            columns.append(_numbers_of(column))
    values = np.stack(columns, axis=1)
    everybody = counts @ values / max(counts.sum(), 1)
    users = _means(histories, values, everybody)
    lengths = np.log1p(np.diff(histories.offsets).astype(np.float64))
    nothing_items, nothing_users = np.zeros(len(counts)), np.zeros(len(histories))
    item_numbers = np.column_stack([values, popularity, nothing_items])
    user_numbers = np.column_stack([users, nothing_users, -lengths])
    return (
        [*names, "popularity", "history_length"],
        item_numbers.astype(np.float32),
        user_numbers.astype(np.float32),
    )


def _numbers_of(column: Column) -> NDArray[np.float64]:
    """Returns a column's numbers in deviations from their mean, the mean where one is missing."""
    numbers = numbers_of(column)
    known = numbers[np.isfinite(numbers)]
    if not len(known):
        return np.zeros(len(numbers))
    scaled = (numbers - known.mean()) / (float(known.std()) or 1.0)
    return np.where(np.isfinite(scaled), scaled, 0)


def _lifts(
    dataset: Dataset, train: Interactions, counts: NDArray[np.int64]
) -> tuple[list[str], NDArray[np.float32], NDArray[np.int32]]:
    """How much more each group of users takes each item, by the logarithm of the ratio."""
    known = np.unique(train.user_rows)
    names: list[str] = []
    groups: list[NDArray[np.int64]] = []
    group_count = 0
    for name, column in dataset.users.columns.items():
        of_users = _groups(name, column, known)
        if of_users.max(initial=-1) > 0:
            names.append(f"{name}_lift")
            groups.append(np.where(of_users >= 0, of_users + group_count, -1))
            group_count += int(of_users.max()) + 1
    taken = np.zeros((group_count + 1, len(counts)))
    for of_users in groups:
        np.add.at(taken, (of_users[train.user_rows], train.item_rows), 1)
    share = counts / max(counts.sum(), 1)
    expected = taken.sum(axis=1, keepdims=True) * share
    lifts = np.log((taken + _LIFT_PRIOR) / (expected + _LIFT_PRIOR)).astype(np.float32)
    lifts[group_count] = 0
    user_groups = np.zeros((len(dataset.users), len(groups)), np.int32)
    for place, of_users in enumerate(groups):
        user_groups[:, place] = np.where(of_users >= 0, of_users, group_count)
    return names, lifts, user_groups


def _groups(name: str, column: Column, known: NDArray[np.int32]) -> NDArray[np.int64]:
    """Returns [users]: the group of each, counted from 0, or -1 if it is in none."""
    if column.kind == "number":
        return buckets_of(column, known, _BUCKETS)[0]
    nobody = np.full(len(column.values), -1)
    if column.kind != "category" or pa.types.is_list(column.values.type):
        return nobody
    columns = {name: column}
    encoded = encode(fit_features(columns, known, _LIMITS), columns, len(column.values))
    if not encoded.shape[1]:
        return nobody
    return np.where(encoded.any(axis=1), encoded.argmax(axis=1), -1)
