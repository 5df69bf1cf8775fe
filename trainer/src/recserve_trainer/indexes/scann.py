"""An approximate item index for large catalogues: ScaNN proposes, the graph rescores.

ScaNN (Guo et al., "Accelerating large-scale inference with anisotropic vector quantization", 2020,
https://arxiv.org/abs/1908.10396) finds candidates by a tree of partitions and by 4-bit codes of the
vectors. Its own rescoring is left out: it would keep a second copy of the vectors, and knows
nothing of exclusions. See docs/decisions/0008.
"""

from typing import NamedTuple

import tensorflow as tf

from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.indexes.scann_proposals import ScannConfig, ScannProposals
from recserve_trainer.indexes.top_items import NOTHING
from recserve_trainer.retrieval import Embeddings, Stages


class _Request(NamedTuple):
    """Arguments of `search` or `search_eligible`, k not above the catalogue."""

    queries: tf.Tensor
    k: tf.Tensor
    excluded: tf.Tensor
    mask_of: tf.Tensor | None = None
    masks: tf.Tensor | None = None


class _Plan(NamedTuple):
    """How a request is answered."""

    is_exact: tf.Tensor
    """bool [batch], the queries that are to be answered exactly in any case."""
    shortlist: tf.Tensor
    """int32, how many candidates to rescore."""
    spare: tf.Tensor
    """int32, how many more are needed, since so many may be excluded or not eligible."""
    leaves: tf.Tensor
    """int32, how many partitions to look into."""


class ScannIndex(ExactIndex):
    """The signatures and promises of `ExactIndex`; only which items are found is approximate.

    Scores are inner products, not estimates. There are never fewer items than asked for while any
    are left, never one twice, never an excluded or ineligible one: a query that ScaNN proposed too
    little for is answered by the exact index, and so is one that could not gain from candidates.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        config: ScannConfig | None = None,
        stages: Stages | None = None,
    ) -> None:
        """Partitions and codes the catalogue: seconds for a million items.

        Args:
            embeddings: finite vectors; ScaNN ends the process over others.
            config: None for the defaults of the catalogue's size.
            stages: what is saved besides.

        Raises:
            ExportError: fewer than 16 items that training knows.
            IndexUnavailableError: ScaNN cannot be imported.
        """
        super().__init__(embeddings, stages)
        self._item_count = len(embeddings.items)
        self._proposals = ScannProposals(embeddings, config)

    def search(
        self, query_embeddings: tf.Tensor, k: tf.Tensor, excluded: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Ranks the catalogue for each query; arguments and results as of `ExactIndex.search`.

        How many of the exact top 10 are found is measured at export (`parity.check_candidates`).
        """
        return self._answer(_Request(query_embeddings, tf.minimum(k, self._item_count), excluded))

    def search_eligible(
        self,
        query_embeddings: tf.Tensor,
        k: tf.Tensor,
        excluded: tf.Tensor,
        mask_of: tf.Tensor,
        masks: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Ranks what is eligible; arguments and results as of `ExactIndex.search_eligible`."""
        k = tf.minimum(k, self._item_count)
        # Read as one row below, masks of another length would be taken for others without notice.
        masks = tf.ensure_shape(masks, [None, self._item_count])
        return self._answer(_Request(query_embeddings, k, excluded, mask_of, masks))

    def _answer(self, request: _Request) -> dict[str, tf.Tensor]:
        self._check_pairs(request)
        plan = self._plan(request)
        ranking: dict[str, tf.Tensor] = tf.cond(
            tf.reduce_all(plan.is_exact),
            lambda: self._exact(request),
            lambda: self._approximate(request, plan),
        )
        return ranking

    def _plan(self, request: _Request) -> _Plan:
        config, excluded = self._proposals.config, request.excluded
        batch = tf.shape(request.queries)[0]
        shortlist = tf.maximum(config.candidates, config.candidates_per_k * request.k)
        excluded_counts = tf.math.bincount(excluded[:, 0], minlength=batch, maxlength=batch)
        per_eligible = self._items_per_eligible(request)
        wanted = tf.cast(shortlist, tf.int64) * per_eligible + tf.cast(excluded_counts, tf.int64)
        is_too_wide = wanted > self._item_count // config.exact_share
        is_exact = is_too_wide | ~_have_direction(request.queries)
        most = tf.cast(tf.reduce_max(tf.where(is_exact, tf.zeros_like(wanted), wanted)), tf.int32)
        # What is eligible may lie together, far from the query: a filter is seldom random.
        widest = tf.where(is_exact, tf.ones_like(per_eligible), per_eligible)
        widest = tf.cast(tf.maximum(tf.reduce_max(widest), 1), tf.int32)
        leaves = tf.minimum(config.leaves, config.leaves_to_search * widest)
        return _Plan(is_exact, shortlist, tf.maximum(most - shortlist, 0), leaves)

    def _items_per_eligible(self, request: _Request) -> tf.Tensor:
        """Returns how many items hold one that is eligible, rounded up: int64 [batch] or [].

        More than there are if none is.
        """
        if request.masks is None:
            return tf.constant(1, tf.int64)
        eligible = tf.math.count_nonzero(request.masks, axis=1)
        item_count = tf.constant(self._item_count, tf.int64)
        per_eligible = -(-item_count // tf.maximum(eligible, 1))
        per_eligible = tf.where(eligible > 0, per_eligible, item_count + 1)
        return tf.gather(per_eligible, request.mask_of)

    def _approximate(self, request: _Request, plan: _Plan) -> dict[str, tf.Tensor]:
        """Answers a request from candidates, and some queries exactly."""
        queries = tf.where(plan.is_exact[:, None], 0.0, request.queries)
        count = plan.shortlist + plan.spare
        rows, estimates = self._proposals.propose(queries, count, plan.leaves)
        estimates = tf.where(self._are_allowed(rows, request), estimates, NOTHING)
        best = tf.math.top_k(estimates, plan.shortlist)
        rows = tf.gather(rows, best.indices, batch_dims=1)
        found = self._rescore(queries, tf.where(best.values > NOTHING, rows, -1), request.k)
        # The last place is empty, or an item that ScaNN does not hold could take it.
        blanks = self._proposals.blanks
        least = tf.reduce_max(tf.matmul(queries, blanks, transpose_b=True), axis=1)
        is_short = plan.is_exact | tf.reduce_any(found["scores"][:, -1:] <= least[:, None], axis=1)
        completed: dict[str, tf.Tensor] = tf.cond(
            tf.reduce_any(is_short),
            lambda: self._replace(found, is_short, request),
            lambda: found,
        )
        return completed

    def _are_allowed(self, rows: tf.Tensor, request: _Request) -> tf.Tensor:
        """Returns bool [batch, n]: whether a row may be found for the query at its position."""
        are_allowed = ~self._are_excluded(rows, request.excluded)
        if request.masks is None or request.mask_of is None:
            return are_allowed
        # Picked one by one: the masks of a whole batch would be a copy of the catalogue's length.
        places = self._as_numbers(request.mask_of[:, None], rows)
        return are_allowed & tf.gather(tf.reshape(request.masks, [-1]), places)

    def _are_excluded(self, rows: tf.Tensor, excluded: tf.Tensor) -> tf.Tensor:
        """Returns bool [batch, n]: whether (position, row) is among the pairs `excluded`."""
        positions = tf.range(tf.shape(rows)[0])[:, None]
        wanted = tf.reshape(self._as_numbers(positions, rows), [-1])
        pairs = tf.sort(self._as_numbers(excluded[:, 0], excluded[:, 1]))
        # What is larger than any pair is searched for, and found, at the end.
        pairs = tf.concat([pairs, [tf.int64.max]], axis=0)
        found = tf.gather(pairs, tf.searchsorted(pairs, wanted))
        return tf.reshape(found == wanted, tf.shape(rows))

    def _as_numbers(self, positions: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        return tf.cast(positions, tf.int64) * self._item_count + tf.cast(rows, tf.int64)

    def _rescore(
        self, queries: tf.Tensor, candidates: tf.Tensor, k: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Ranks int32 [batch, n >= k] candidates, -1 for none, by inner product.

        Returns:
            `item_rows` and `scores`, both [batch, k]; -inf where there was no candidate.
        """
        # Ascending rows, since of equal scores the lower column goes first.
        rows = tf.sort(candidates)
        vectors = tf.gather(self.item_embeddings, tf.maximum(rows, 0))
        scores = tf.where(rows < 0, NOTHING, tf.linalg.matvec(vectors, queries))
        best = tf.math.top_k(scores, k)
        return {
            "item_rows": tf.gather(rows, best.indices, batch_dims=1),
            "scores": best.values,
        }

    def _replace(
        self,
        found: dict[str, tf.Tensor],
        is_short: tf.Tensor,
        request: _Request,
    ) -> dict[str, tf.Tensor]:
        """Answers the queries of a request where bool [batch] `is_short` says so exactly."""
        excluded, mask_of = request.excluded, request.mask_of
        positions = tf.where(is_short)
        # Among the short ones a query has another position.
        position_of = tf.cumsum(tf.cast(is_short, tf.int32), exclusive=True)
        pairs = tf.boolean_mask(excluded, tf.gather(is_short, excluded[:, 0]))
        pairs = tf.stack([tf.gather(position_of, pairs[:, 0]), pairs[:, 1]], axis=1)
        short = request._replace(
            queries=tf.boolean_mask(request.queries, is_short),
            excluded=pairs,
            mask_of=None if mask_of is None else tf.boolean_mask(mask_of, is_short),
        )
        exact = self._exact(short)
        return {
            name: tf.tensor_scatter_nd_update(values, positions, exact[name])
            for name, values in found.items()
        }

    def _exact(self, request: _Request) -> dict[str, tf.Tensor]:
        queries, k, excluded, mask_of, masks = request
        if masks is None:
            return super().search(queries, k, excluded)
        return super().search_eligible(queries, k, excluded, mask_of, masks)

    def _check_pairs(self, request: _Request) -> None:
        """Fails on pairs that lie outside, as the exact index does by itself."""
        limits = tf.stack([tf.shape(request.queries)[0], self._item_count])
        tf.debugging.Assert(
            tf.reduce_all((request.excluded >= 0) & (request.excluded < limits)),
            ["excluded holds a position outside the batch or a row outside the catalogue"],
        )


def _have_direction(queries: tf.Tensor) -> tf.Tensor:
    """Returns bool [batch]: whether a query tells where to look, as NaN and zeros do not."""
    is_finite = tf.reduce_all(tf.math.is_finite(queries), axis=1)
    return is_finite & tf.reduce_any(queries != 0, axis=1)
