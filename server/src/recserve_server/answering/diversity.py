"""Chooses varied items from a ranking; pure NumPy.

Maximal marginal relevance: Carbonell and Goldstein, "The use of MMR, diversity-based reranking for
reordering documents and producing summaries", SIGIR 1998.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recserve_server.answering.attributes import Codes


class Candidates(NamedTuple):
    """What is chosen from, best first."""

    rows: NDArray[np.int32]
    """int32 [n], rows of the item table."""
    scores: NDArray[np.float32]
    """float32 [n], descending."""
    vectors: NDArray[np.float32] | None = None
    """float32 [n, length], of length 1 or 0; only needed with a weight."""


class Cap(NamedTuple):
    """How many items may have the same text of an attribute."""

    codes: Codes
    most: int


def choose(candidates: Candidates, caps: Sequence[Cap], weight: float, k: int) -> NDArray[np.intp]:
    """Chooses up to k items, one after the other.

    The next item maximises (1 - weight) * relevance - weight * similarity: relevance is the score,
    scaled so that the candidates' scores span 0 to 1 (all 1 if they are equal), similarity that to
    the most similar of the items chosen before, 0 for the first. Of equal ones the better ranked
    goes first. Items whose text is at its cap are passed over; one without a text never is.

    Returns:
        Positions among the candidates, in the order of choice; fewer than k if caps leave no more.
    """
    worth = (1 - weight) * _relevance(candidates.scores)
    nearest = np.zeros(len(worth))
    is_left = np.ones(len(worth), np.bool_)
    counts = [np.zeros(int(cap.codes.codes.max(initial=-1)) + 1, np.int64) for cap in caps]
    chosen: list[int] = []
    while len(chosen) < k and is_left.any():
        gains = worth - weight * nearest if weight and chosen else worth
        best = int(np.argmax(np.where(is_left, gains, -np.inf)))
        is_left[best] = False
        texts = [_texts(cap, int(candidates.rows[best])) for cap in caps]
        if any(
            (count[mine] >= cap.most).any()
            for cap, count, mine in zip(caps, counts, texts, strict=True)
        ):
            continue
        for count, mine in zip(counts, texts, strict=True):
            count[mine] += 1
        if weight and candidates.vectors is not None:
            similarity = candidates.vectors @ candidates.vectors[best]
            nearest = np.maximum(nearest, similarity) if chosen else similarity
        chosen.append(best)
    return np.array(chosen, np.intp)


def _relevance(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = scores.astype(np.float64)
    if not len(wide):
        return wide
    lowest, highest = wide.min(), wide.max()
    return (wide - lowest) / (highest - lowest) if highest > lowest else np.ones(len(wide))


def _texts(cap: Cap, row: int) -> NDArray[np.int32]:
    offsets, codes = cap.codes
    return codes[offsets[row] : offsets[row + 1]]
