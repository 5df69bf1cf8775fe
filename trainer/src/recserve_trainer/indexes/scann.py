"""An approximate item index for large catalogues: ScaNN proposes, the graph rescores.

ScaNN (Guo et al., "Accelerating large-scale inference with anisotropic vector quantization", 2020,
https://arxiv.org/abs/1908.10396) finds candidates by a tree of partitions and by 4-bit codes of the
vectors. Its own rescoring is left out: it would keep a second copy of the vectors, and knows
nothing of exclusions. See docs/decisions/0008.
"""

from dataclasses import dataclass, fields
from typing import Final, NamedTuple, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.errors import ExportError
from recserve_trainer.index_choice import scann_library
from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.retrieval import Embeddings, Stages

_FEWEST_ITEMS: Final = 16
"""ScaNN learns 16 codes per block of dimensions and refuses fewer vectors than that."""
_NOTHING: Final = float("-inf")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScannConfig:
    """How ScaNN partitions the catalogue and how many candidates it proposes."""

    leaves: int
    """Partitions of the catalogue; about the square root of its size (scann/docs/algorithms.md)."""
    leaves_to_search: int
    """Partitions searched per query; a tenth of them by default, as in `tfrs...ScaNN`."""
    dimensions_per_block: int = 2
    """Dimensions that share one 4-bit code; 2 is what scann/docs/algorithms.md advises."""
    candidates: int = 200
    """Fewest candidates that are rescored per query: recall@10 stops rising there, at 0.998 on a
    million clustered vectors (0.958 with 50, 0.991 with 100)."""
    candidates_per_k: int = 4
    """Candidates that are rescored per item asked for, if that is more."""
    exact_share: int = 32
    """A query that would need more than 1/32 of the catalogue proposed is answered exactly: from
    about there on, gathering vectors one by one takes longer than multiplying all of them."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if (value := getattr(self, field.name)) < 1:
                raise ValueError(f"{field.name} is {value}, must be 1 or more")
        if self.leaves_to_search > self.leaves:
            raise ValueError(
                f"leaves_to_search is {self.leaves_to_search}, must be at most {self.leaves}"
            )

    @classmethod
    def of(cls, item_count: int) -> Self:
        """Returns the defaults for a catalogue of this size."""
        leaves = max(1, round(item_count**0.5))
        return cls(leaves=leaves, leaves_to_search=max(1, leaves // 10))


class _Request(NamedTuple):
    """Arguments of `search`, k not above the catalogue."""

    queries: tf.Tensor
    k: tf.Tensor
    excluded: tf.Tensor


class ScannIndex(ExactIndex):
    """The signatures and promises of `ExactIndex`; only which items are found is approximate.

    Scores are inner products, not estimates. There are never fewer items than asked for while any
    are left, never one twice, never an excluded one: a query that ScaNN proposed too little for is
    answered by the exact index, and so is one that could not gain from candidates.
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
        indexed, self._blanks = _without_blanks(embeddings.items)
        if len(indexed) < _FEWEST_ITEMS:
            raise ExportError(
                f"a scann index needs {_FEWEST_ITEMS} items or more that training knows, here are "
                f"{len(indexed)}; use --index exact"
            )
        self._indexed = tf.Variable(indexed, trainable=False, name="indexed")
        self._scale = _scale(embeddings.users)
        self._config = config or ScannConfig.of(len(indexed))
        self._library = scann_library()
        vectors = embeddings.items[indexed] * self._scale
        builder = self._library.builder(vectors, self._config.candidates, "dot_product")
        # From random centres two runs would differ; from k-means++ they do not.
        builder.tree(self._config.leaves, self._config.leaves_to_search, random_init=False)
        searcher = builder.score_ah(self._config.dimensions_per_block).build()
        self._searcher_state = searcher.serialize_to_module()
        # It holds the vectors once more, and TensorFlow would keep it until the process ends.
        tf.raw_ops.DestroyResourceOp(resource=searcher.searcher_handle, ignore_lookup_error=True)

    def search(
        self, query_embeddings: tf.Tensor, k: tf.Tensor, excluded: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Ranks the catalogue for each query; arguments and results as of `ExactIndex.search`.

        How many of the exact top 10 are found is measured at export (`parity.check_candidates`).
        """
        self._check_pairs(query_embeddings, excluded)
        request = _Request(query_embeddings, tf.minimum(k, self._item_count), excluded)
        batch = tf.shape(query_embeddings)[0]
        shortlist = tf.maximum(self._config.candidates, self._config.candidates_per_k * request.k)
        excluded_counts = tf.math.bincount(excluded[:, 0], minlength=batch, maxlength=batch)
        is_too_wide = shortlist + excluded_counts > self._item_count // self._config.exact_share
        is_exact = is_too_wide | ~self._have_direction(query_embeddings)
        spare = tf.reduce_max(tf.where(is_exact, 0, excluded_counts))
        ranking: dict[str, tf.Tensor] = tf.cond(
            tf.reduce_all(is_exact),
            lambda: super(ScannIndex, self).search(*request),
            lambda: self._approximate(request, is_exact, shortlist, spare),
        )
        return ranking

    def _approximate(
        self, request: _Request, is_exact: tf.Tensor, shortlist: tf.Tensor, spare: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Answers a request from `shortlist` candidates per query, and some queries exactly.

        Args:
            request: what is asked for.
            is_exact: bool [batch], the queries that are to be answered exactly in any case.
            shortlist: how many candidates to rescore.
            spare: how many more are needed, since so many may be excluded.
        """
        queries = tf.where(is_exact[:, None], 0.0, request.queries)
        rows, estimates = self._propose(queries, shortlist + spare)
        estimates = tf.where(self._are_excluded(rows, request.excluded), _NOTHING, estimates)
        best = tf.math.top_k(estimates, shortlist)
        rows = tf.gather(rows, best.indices, batch_dims=1)
        found = self._rescore(queries, tf.where(best.values > _NOTHING, rows, -1), request.k)
        # The last place is empty, or an item that ScaNN does not hold could take it.
        least = tf.reduce_max(tf.matmul(queries, self._blanks, transpose_b=True), axis=1)
        is_short = is_exact | tf.reduce_any(found["scores"][:, -1:] <= least[:, None], axis=1)
        completed: dict[str, tf.Tensor] = tf.cond(
            tf.reduce_any(is_short),
            lambda: self._replace(found, is_short, request),
            lambda: found,
        )
        return completed

    @staticmethod
    def _have_direction(queries: tf.Tensor) -> tf.Tensor:
        """Returns bool [batch]: whether a query tells where to look, as NaN and zeros do not."""
        is_finite = tf.reduce_all(tf.math.is_finite(queries), axis=1)
        return is_finite & tf.reduce_any(queries != 0, axis=1)

    def _propose(self, queries: tf.Tensor, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the `count` best items by estimate: rows, int32, estimates, both [batch, count].

        Estimates descend. Where ScaNN found fewer they are -inf, and the row means nothing.
        """
        # The best items are the same at any length of the query; one near the end of float32's
        # range would overflow inside ScaNN, which then ends the process.
        largest = tf.reduce_max(tf.abs(queries), axis=1, keepdims=True)
        queries = tf.math.divide_no_nan(queries, largest) / self._scale
        found = self._library.scann_search_batched(
            self._searcher_state.recreate_handle(),
            queries,
            final_num_neighbors=count,
            pre_reordering_num_neighbors=-1,
            leaves_to_search=self._config.leaves_to_search,
            # That would start threads for every call, and only splits batches above 256.
            parallel=False,
        )
        # As many columns as its longest list has, and in the shorter ones index 0 and NaN.
        missing = [[0, 0], [0, count - tf.shape(found.indices)[1]]]
        indices = tf.ensure_shape(tf.pad(found.indices, missing), [None, None])
        estimates = tf.where(tf.math.is_nan(found.distances), _NOTHING, found.distances)
        return (
            tf.gather(self._indexed, indices),
            tf.pad(estimates, missing, constant_values=_NOTHING),
        )

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
        scores = tf.where(rows < 0, _NOTHING, tf.linalg.matvec(vectors, queries))
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
        excluded = request.excluded
        positions = tf.where(is_short)
        # Among the short ones a query has another position.
        position_of = tf.cumsum(tf.cast(is_short, tf.int32), exclusive=True)
        pairs = tf.boolean_mask(excluded, tf.gather(is_short, excluded[:, 0]))
        pairs = tf.stack([tf.gather(position_of, pairs[:, 0]), pairs[:, 1]], axis=1)
        exact = super().search(tf.boolean_mask(request.queries, is_short), request.k, pairs)
        return {
            name: tf.tensor_scatter_nd_update(values, positions, exact[name])
            for name, values in found.items()
        }

    def _check_pairs(self, query_embeddings: tf.Tensor, excluded: tf.Tensor) -> None:
        """Fails on pairs that lie outside, as the exact index does by itself."""
        limits = tf.stack([tf.shape(query_embeddings)[0], self._item_count])
        tf.debugging.Assert(
            tf.reduce_all((excluded >= 0) & (excluded < limits)),
            ["excluded holds a position outside the batch or a row outside the catalogue"],
        )


def _scale(users: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns by what to multiply items' vectors, and divide users', [length], at most 1.

    Inner products stay the same. The error of ScaNN's codes is spread evenly over the dimensions;
    in an estimate it counts by the user's number there, so items are scaled by the root mean square
    of those. It matters for the bias, which meets a 1 where other dimensions meet a twentieth:
    without the scale, recall@10 on a million barely trained items is 0.45, with it 0.998. After
    Guo et al., "Quantization based fast inner product search", 2016: codes that know the queries.
    """
    mean_squares = np.einsum("ij,ij->j", users, users, dtype=np.float64) / len(users)
    # A dimension that users do not use must still tell items apart for other queries.
    floor = max(1e-6 * float(mean_squares.max()), np.finfo(np.float64).tiny)
    scale: NDArray[np.float64] = np.sqrt(np.maximum(mean_squares, floor))
    return np.asarray(scale / scale.max(), np.float32)


def _without_blanks(
    items: NDArray[np.float32],
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Leaves out the items that training does not know, which are all alike.

    They may be most of a catalogue, and ScaNN would spend its partitions and codes on them.

    Returns:
        The rows that are kept, int32 ascending, and the vector of the rest, [0 or 1, length].
    """
    is_blank = ~items[:, :-1].any(axis=1)
    vector = items[is_blank][:1]
    if len(vector):
        is_blank &= items[:, -1] == vector[0, -1]
    return np.flatnonzero(~is_blank).astype(np.int32), vector
