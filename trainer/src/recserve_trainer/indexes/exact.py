"""The exact item index as a plain module: no Keras or TFRS is needed to load it.

Semantics of `tfrs.layers.factorized_top_k.BruteForce`, with what it lacks: k is a tensor, and
excluded items are removed before the top k is taken, so that they can never come back.
"""

from pathlib import Path

import tensorflow as tf

from recserve_trainer.indexes.block_top_k import FEWEST_ITEMS, block_top_k
from recserve_trainer.retrieval import Embeddings

_ROWS = tf.TensorSpec([None], tf.int32, name="user_rows")
_K = tf.TensorSpec([], tf.int32, name="k")
_EXCLUDED = tf.TensorSpec([None, 2], tf.int32, name="excluded")


class ExactIndex(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """User tower and catalogue; every signature is documented in docs/artifact.md."""

    def __init__(self, embeddings: Embeddings) -> None:
        super().__init__(name="index")
        self.user_embeddings = tf.Variable(embeddings.users, trainable=False, name="users")
        self.item_embeddings = tf.Variable(embeddings.items, trainable=False, name="items")
        self._queries = tf.TensorSpec(
            [None, embeddings.items.shape[1]], tf.float32, name="query_embeddings"
        )

    def save(self, folder: Path) -> None:
        """Writes the SavedModel with signatures `recommend`, `embed_users` and `search`."""
        signatures = {
            "recommend": tf.function(self.recommend, [_ROWS, _K, _EXCLUDED]),
            "embed_users": tf.function(self.embed_users, [_ROWS]),
            "search": tf.function(self.search, [self._queries, _K, _EXCLUDED]),
        }
        # The operations of ScaNN are the only ones that are not TensorFlow's own.
        options = tf.saved_model.SaveOptions(namespace_whitelist=["Scann"])
        tf.saved_model.save(self, str(folder), signatures=signatures, options=options)

    def recommend(
        self, user_rows: tf.Tensor, k: tf.Tensor, excluded: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Ranks the catalogue for users of the user table; `search` of `embed_users`."""
        return self.search(self.embed_users(user_rows)["embeddings"], k, excluded)

    def embed_users(self, user_rows: tf.Tensor) -> dict[str, tf.Tensor]:
        """int32 [batch] -> `embeddings`, float32 [batch, length]."""
        return {"embeddings": tf.gather(self.user_embeddings, user_rows)}

    def search(
        self, query_embeddings: tf.Tensor, k: tf.Tensor, excluded: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Ranks the catalogue for each query.

        Args:
            query_embeddings: float32 [batch, length].
            k: int32 scalar, 1 or more; more than the catalogue is taken as the catalogue.
            excluded: int32 [n, 2], pairs (position in the batch, item row).

        Returns:
            `item_rows`, int32, and `scores`, float32, both [batch, min(k, items)], each row
            descending, equal scores by ascending item row. Excluded items have the score -inf
            and stand behind all others; a caller drops them.
        """
        scores = tf.matmul(query_embeddings, self.item_embeddings, transpose_b=True)
        masked = tf.tensor_scatter_nd_update(
            scores, excluded, tf.fill([tf.shape(excluded)[0]], float("-inf"))
        )
        item_count = self.item_embeddings.shape[0]
        k = tf.minimum(k, item_count)
        if item_count >= FEWEST_ITEMS:
            rows, best = block_top_k(tf.ensure_shape(masked, [None, item_count]), k)
        else:
            best, rows = tf.math.top_k(masked, k)
        return {"item_rows": rows, "scores": best}
