"""Calls a retriever with few different batch sizes, each of which was warmed up."""

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from recserve_server.model import Found, Retriever
from recserve_server.stats import AnswerStats


class PaddedRetriever:
    """A `Retriever` that calls another one with allowed batch sizes only."""

    def __init__(self, retriever: Retriever, batch_sizes: tuple[int, ...]) -> None:
        """Takes the sizes, ascending; a batch above the last is passed on as it is."""
        self._retriever, self._batch_sizes = retriever, batch_sizes
        self.stats = AnswerStats()

    def retrieve(self, user_rows: NDArray[np.int32], k: int, excluded: NDArray[np.int32]) -> Found:
        """Ranks the catalogue; see `recserve_server.model.Retriever`."""
        count = len(user_rows)
        place = bisect_left(self._batch_sizes, count)
        padding = 0 if place == len(self._batch_sizes) else self._batch_sizes[place] - count
        self.stats.rows += count
        self.stats.padding_rows += padding
        if not padding:
            return self._retriever.retrieve(user_rows, k, excluded)
        # Any row will do: the last one's is in the caches.
        padded = np.concatenate([user_rows, np.repeat(user_rows[-1:], padding)])
        item_rows, scores, retrieval_scores = self._retriever.retrieve(padded, k, excluded)
        if retrieval_scores is not None:
            retrieval_scores = retrieval_scores[:count]
        return Found(item_rows[:count], scores[:count], retrieval_scores)
