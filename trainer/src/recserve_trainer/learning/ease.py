"""EASE: scores of items from the items of a history, by one ridge regression in closed form.

Steck, "Embarrassingly shallow autoencoders for sparse data" (2019): of all matrices B with a zero
diagonal, the one that best rebuilds every user's items from the user's other items. Its solution
needs the Gram matrix of the rows alone, so more rows than users can speak: sessions (what was taken
together) and attributes (which items are alike), as in Jeunen et al., "Closed-form models for
collaborative filtering with side-information" (2020).
"""

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.evaluation.linear_baselines import constrained_ridge
from recserve_trainer.fit_configs import HistoryConfig
from recserve_trainer.interactions import Histories, Interactions


def item_item_matrix(
    train: Interactions, side: NDArray[np.float64], user_count: int, config: HistoryConfig
) -> NDArray[np.float64]:
    """Fits B; the scores of a history are the sum of its items' rows.

    Takes about 40 bytes per pair of items while it runs, and 3 items^3 operations.

    Args:
        train: what is learnt from; of a pair that is there twice only one counts.
        side: [items, width] of 0 and 1, see `side_information`; of width 0 for none.
        user_count: rows of the user table.
        config: weights and ridge.

    Returns:
        float64 [items, items] with a zero diagonal.
    """
    gram = np.zeros((len(side), len(side)))
    histories = Histories.of(user_count, train)
    counts = np.diff(histories.offsets).astype(np.float64)
    _add_rows(gram, histories, user_weights(counts, config.user_weight_power))
    if config.session_weight:
        visits = sessions(train, config.session_gap_s)
        sizes = np.diff(visits.offsets)
        _add_rows(gram, visits, config.session_weight * sizes**-0.5)
    gram += config.ease_side_weight * (side @ side.T)
    return constrained_ridge(gram, config.ease_l2)


def user_weights(counts: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """Returns [users]: count^-power, scaled so that all interactions weigh what they did in sum.

    A user of n items has n^2 pairs in the Gram matrix, so that a few users would speak for all.
    """
    weights = np.where(counts > 0, np.maximum(counts, 1) ** -power, 0)
    scaled: NDArray[np.float64] = weights * (counts.sum() / max(weights @ counts, 1e-12))
    return scaled


def sessions(train: Interactions, gap_s: int) -> Histories:
    """Cuts each user's interactions where nothing happened for longer than `gap_s` seconds.

    Returns:
        The distinct items of each session that has two or more; no session at all where every
        interaction has the same timestamp, which then says nothing.
    """
    if not len(train) or np.ptp(train.timestamps) == 0:
        return Histories(np.zeros(1, np.int64), np.empty(0, np.int32))
    order = np.lexsort((train.item_rows, train.timestamps, train.user_rows))
    in_time = train.take(order)
    starts = (np.diff(in_time.user_rows) != 0) | (np.diff(in_time.timestamps) > gap_s)
    session_rows = np.concatenate([[0], np.cumsum(starts)]).astype(np.int32)
    visits = Interactions(session_rows, in_time.item_rows, in_time.ratings, in_time.timestamps)
    every = Histories.of(int(session_rows[-1]) + 1, visits)
    sizes = np.diff(every.offsets)
    offsets = np.concatenate([[0], np.cumsum(sizes[sizes > 1])]).astype(np.int64)
    return Histories(offsets, every.item_rows[np.repeat(sizes > 1, sizes)])


def _add_rows(gram: NDArray[np.float64], rows: Histories, weights: NDArray[np.float64]) -> None:
    """Adds weight * row' row of each 0/1 row, without making the rows dense."""
    for row, weight in enumerate(weights):
        of_row = rows[row]
        gram[np.ix_(of_row, of_row)] += weight
