"""What ScaNN holds of a catalogue, and the candidates that it proposes."""

from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.errors import ExportError
from recserve_trainer.index_choice import scann_library
from recserve_trainer.indexes.top_items import NOTHING
from recserve_trainer.retrieval import Embeddings

_FEWEST_ITEMS: Final = 16
"""ScaNN learns 16 codes per block of dimensions and refuses fewer vectors than that."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScannConfig:
    """How ScaNN partitions the catalogue and how many candidates it proposes."""

    leaves: int
    """Partitions of the catalogue; about the square root of its size (scann/docs/algorithms.md)."""
    leaves_to_search: int
    """Partitions searched per query; a tenth of them by default, as in `tfrs...ScaNN`. Where one
    item in n is eligible it is n times as many."""
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


class ScannProposals(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """Partitions and codes of a catalogue, but for the items that training does not know."""

    def __init__(self, embeddings: Embeddings, config: ScannConfig | None) -> None:
        """Partitions and codes the catalogue: seconds for a million items.

        Args:
            embeddings: finite vectors; ScaNN ends the process over others.
            config: None for the defaults of the catalogue's size.

        Raises:
            ExportError: fewer than 16 items that training knows.
            IndexUnavailableError: ScaNN cannot be imported.
        """
        super().__init__(name="proposals")
        indexed, self.blanks = _without_blanks(embeddings.items)
        if len(indexed) < _FEWEST_ITEMS:
            raise ExportError(
                f"a scann index needs {_FEWEST_ITEMS} items or more that training knows, here are "
                f"{len(indexed)}; use --index exact"
            )
        self._indexed = tf.Variable(indexed, trainable=False, name="indexed")
        self._scale = _scale(embeddings.users)
        self.config = config or ScannConfig.of(len(indexed))
        self._library = scann_library()
        vectors = embeddings.items[indexed] * self._scale
        builder = self._library.builder(vectors, self.config.candidates, "dot_product")
        # From random centres two runs would differ; from k-means++ they do not.
        builder.tree(self.config.leaves, self.config.leaves_to_search, random_init=False)
        searcher = builder.score_ah(self.config.dimensions_per_block).build()
        self._searcher_state = searcher.serialize_to_module()
        # It holds the vectors once more, and TensorFlow would keep it until the process ends.
        tf.raw_ops.DestroyResourceOp(resource=searcher.searcher_handle, ignore_lookup_error=True)

    def propose(
        self, queries: tf.Tensor, count: tf.Tensor, leaves: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the `count` best items by estimate: rows, int32, estimates, both [batch, count].

        They are looked for in so many partitions. Estimates descend. Where ScaNN found fewer they
        are -inf, and the row means nothing.
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
            leaves_to_search=leaves,
            # That would start threads for every call, and only splits batches above 256.
            parallel=False,
        )
        # As many columns as its longest list has, and in the shorter ones index 0 and NaN.
        missing = [[0, 0], [0, count - tf.shape(found.indices)[1]]]
        indices = tf.ensure_shape(tf.pad(found.indices, missing), [None, None])
        estimates = tf.where(tf.math.is_nan(found.distances), NOTHING, found.distances)
        return (
            tf.gather(self._indexed, indices),
            tf.pad(estimates, missing, constant_values=NOTHING),
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
