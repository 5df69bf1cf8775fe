"""The exact item index as a plain module: no Keras or TFRS is needed to load it.

Semantics of `tfrs.layers.factorized_top_k.BruteForce`, with what it lacks: k is a tensor, and
excluded items are removed before the top k is taken, so that they can never come back.
"""

from pathlib import Path

import tensorflow as tf

from recserve_trainer.indexes.block_top_k import FEWEST_ITEMS, block_top_k
from recserve_trainer.retrieval import Embeddings, QueryTower, Ranker, Stages

_ROWS = tf.TensorSpec([None], tf.int32, name="user_rows")
_CANDIDATES = tf.TensorSpec([None, None], tf.int32, name="item_rows")
_K = tf.TensorSpec([], tf.int32, name="k")
_EXCLUDED = tf.TensorSpec([None, 2], tf.int32, name="excluded")
_NOTHING = float("-inf")


class ExactIndex(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """User tower and catalogue; every signature is documented in docs/artifact.md."""

    def __init__(self, embeddings: Embeddings, stages: Stages | None = None) -> None:
        super().__init__(name="index")
        stages = stages or Stages()
        self.query_tower, self.ranker = stages.query_tower, stages.ranker
        self.user_embeddings = tf.Variable(embeddings.users, trainable=False, name="users")
        self.item_embeddings = tf.Variable(embeddings.items, trainable=False, name="items")
        self._queries = tf.TensorSpec(
            [None, embeddings.items.shape[1]], tf.float32, name="query_embeddings"
        )

    def save(self, folder: Path) -> None:
        """Writes the SavedModel with all signatures that the model has."""
        signatures = {
            "recommend": tf.function(self.recommend, [_ROWS, _K, _EXCLUDED]),
            "retrieve": tf.function(self.retrieve, [_ROWS, _K, _EXCLUDED]),
            "embed_users": tf.function(self.embed_users, [_ROWS]),
            "search": tf.function(self.search, [self._queries, _K, _EXCLUDED]),
        }
        if self.query_tower is not None:
            signatures["embed_queries"] = _embed_queries(self.query_tower)
        if self.ranker is not None:
            signatures["rank"] = self._rank(self.ranker)
        # The operations of ScaNN are the only ones that are not TensorFlow's own.
        options = tf.saved_model.SaveOptions(namespace_whitelist=["Scann"])
        tf.saved_model.save(self, str(folder), signatures=signatures, options=options)

    def recommend(
        self, user_rows: tf.Tensor, k: tf.Tensor, excluded: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Ranks the catalogue for users of the user table, by both stages if there are two.

        With a ranker, the first stage finds `ranker.candidates` items, or k if that is more, and
        the second puts them in order. Then `retrieval_scores`, float32 [batch, k], are the first
        stage's scores beside the second's, `scores`.
        """
        if self.ranker is None:
            return self.retrieve(user_rows, k, excluded)
        found = self.retrieve(user_rows, tf.maximum(k, self.ranker.candidates), excluded)
        # Ascending rows, since of equal scores the lower column goes first.
        order = tf.argsort(found["item_rows"], axis=1)
        item_rows = tf.gather(found["item_rows"], order, batch_dims=1)
        retrieval_scores = tf.gather(found["scores"], order, batch_dims=1)
        scores = self.ranker.rank(user_rows, item_rows, retrieval_scores)
        scores = tf.where(retrieval_scores > _NOTHING, scores, _NOTHING)
        best = tf.math.top_k(scores, tf.minimum(k, tf.shape(scores)[1]))
        return {
            "item_rows": tf.gather(item_rows, best.indices, batch_dims=1),
            "scores": best.values,
            "retrieval_scores": tf.gather(retrieval_scores, best.indices, batch_dims=1),
        }

    def retrieve(
        self, user_rows: tf.Tensor, k: tf.Tensor, excluded: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Ranks the catalogue by the first stage alone; `search` of `embed_users`."""
        return self.search(self.embed_users(user_rows)["embeddings"], k, excluded)

    def _rank(self, ranker: Ranker) -> tf.types.experimental.GenericFunction:
        def rank(user_rows: tf.Tensor, item_rows: tf.Tensor) -> dict[str, tf.Tensor]:
            queries = self.embed_users(user_rows)["embeddings"]
            retrieval_scores = tf.linalg.matvec(tf.gather(self.item_embeddings, item_rows), queries)
            return {"scores": ranker.rank(user_rows, item_rows, retrieval_scores)}

        return tf.function(rank, [_ROWS, _CANDIDATES])

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
            scores, excluded, tf.fill([tf.shape(excluded)[0]], _NOTHING)
        )
        item_count = self.item_embeddings.shape[0]
        k = tf.minimum(k, item_count)
        if item_count >= FEWEST_ITEMS:
            rows, best = block_top_k(tf.ensure_shape(masked, [None, item_count]), k)
        else:
            best, rows = tf.math.top_k(masked, k)
        return {"item_rows": rows, "scores": best}


def _embed_queries(tower: QueryTower) -> tf.types.experimental.GenericFunction:
    width = sum(feature.width for feature in tower.features)
    return tf.function(
        lambda history, ratings, features: {"embeddings": tower.embed(history, ratings, features)},
        [
            tf.TensorSpec([None, 2], tf.int32, name="history"),
            tf.TensorSpec([None], tf.float32, name="ratings"),
            tf.TensorSpec([None, width], tf.float32, name="features"),
        ],
    )
