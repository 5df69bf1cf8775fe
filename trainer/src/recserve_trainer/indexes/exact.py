"""The exact item index as a plain module: no Keras or TFRS is needed to load it.

Semantics of `tfrs.layers.factorized_top_k.BruteForce`, with what it lacks: k is a tensor, and
excluded items are removed before the top k is taken, so that they can never come back.
"""

from pathlib import Path

import tensorflow as tf

from recserve_trainer.indexes.similarity import Similarity
from recserve_trainer.indexes.top_items import NOTHING, only_eligible, top_items
from recserve_trainer.retrieval import Embeddings, ItemTower, QueryTower, Ranker, Stages

_ROWS = tf.TensorSpec([None], tf.int32, name="user_rows")
_CANDIDATES = tf.TensorSpec([None, None], tf.int32, name="item_rows")
_K = tf.TensorSpec([], tf.int32, name="k")
_EXCLUDED = tf.TensorSpec([None, 2], tf.int32, name="excluded")
_MASK_OF = tf.TensorSpec([None], tf.int32, name="mask_of")
_ITEM_ROWS = tf.TensorSpec([None], tf.int32, name="item_rows")


class ExactIndex(tf.Module):  # type: ignore[misc]  # TensorFlow has no types
    """User tower and catalogue; every signature is documented in docs/artifact.md."""

    def __init__(self, embeddings: Embeddings, stages: Stages | None = None) -> None:
        super().__init__(name="index")
        stages = stages or Stages()
        self.query_tower, self.ranker = stages.query_tower, stages.ranker
        self.item_tower = stages.item_tower
        self.user_embeddings = tf.Variable(embeddings.users, trainable=False, name="users")
        self.item_embeddings = tf.Variable(embeddings.items, trainable=False, name="items")
        self.similarity = Similarity(embeddings, self.item_embeddings)
        item_count, length = embeddings.items.shape
        self._queries = tf.TensorSpec([None, length], tf.float32, name="query_embeddings")
        self._masks = tf.TensorSpec([None, item_count], tf.bool, name="masks")

    def save(self, folder: Path) -> None:
        """Writes the SavedModel with all signatures that the model has."""
        search = [self._queries, _K, _EXCLUDED]
        eligible = [*search, _MASK_OF, self._masks]
        signatures = {
            "recommend": tf.function(self.recommend, [_ROWS, _K, _EXCLUDED]),
            "retrieve": tf.function(self.retrieve, [_ROWS, _K, _EXCLUDED]),
            "embed_users": tf.function(self.embed_users, [_ROWS]),
            "search": tf.function(self.search, search),
            "search_eligible": tf.function(self.search_eligible, eligible),
            "score_items": tf.function(self.score_items, [self._queries, _CANDIDATES]),
            "embed_items": tf.function(self.embed_items, [_ITEM_ROWS]),
            "search_similar": tf.function(self.similarity.search, eligible),
        }
        if self.query_tower is not None:
            signatures["embed_queries"] = _embed_queries(self.query_tower)
            signatures["explain"] = self._explain(self.query_tower)
        if self.ranker is not None:
            signatures["rank"] = self._rank(self.ranker)
        if self.item_tower is not None:
            signatures["embed_new_items"] = _embed_new_items(self.item_tower)
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
        scores = tf.where(retrieval_scores > NOTHING, scores, NOTHING)
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
            retrieval_scores = self.score_items(queries, item_rows)["scores"]
            return {"scores": ranker.rank(user_rows, item_rows, retrieval_scores)}

        return tf.function(rank, [_ROWS, _CANDIDATES])

    def _explain(self, tower: QueryTower) -> tf.types.experimental.GenericFunction:
        def explain(
            history: tf.Tensor, ratings: tf.Tensor, features: tf.Tensor, item_rows: tf.Tensor
        ) -> dict[str, tf.Tensor]:
            vectors = tf.gather(self.item_embeddings, item_rows)
            contributions, base = tower.contributions(history, ratings, features, vectors)
            return {"contributions": contributions, "base": base}

        return tf.function(explain, [*_strangers(tower), _CANDIDATES])

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
        return top_items(self._scores(query_embeddings), k, excluded)

    def search_eligible(
        self,
        query_embeddings: tf.Tensor,
        k: tf.Tensor,
        excluded: tf.Tensor,
        mask_of: tf.Tensor,
        masks: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Ranks those items of the catalogue that are eligible for each query.

        Args:
            query_embeddings: as of `search`.
            k: as of `search`.
            excluded: as of `search`.
            mask_of: int32 [batch], the row of `masks` that holds for a query.
            masks: bool [m, items], True where an item is eligible.

        Returns:
            As `search`, where what is not eligible counts as excluded.
        """
        scores = only_eligible(self._scores(query_embeddings), mask_of, masks)
        return top_items(scores, k, excluded)

    def score_items(
        self, query_embeddings: tf.Tensor, item_rows: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """float32 [batch, length], int32 [batch, n] -> `scores`, float32 [batch, n]."""
        vectors = tf.gather(self.item_embeddings, item_rows)
        return {"scores": tf.linalg.matvec(vectors, query_embeddings)}

    def embed_items(self, item_rows: tf.Tensor) -> dict[str, tf.Tensor]:
        """int32 [n] -> `embeddings`, float32 [n, length], as `Similarity.embed`."""
        return {"embeddings": self.similarity.embed(item_rows)}

    def _scores(self, query_embeddings: tf.Tensor) -> tf.Tensor:
        return tf.matmul(query_embeddings, self.item_embeddings, transpose_b=True)


def _embed_queries(tower: QueryTower) -> tf.types.experimental.GenericFunction:
    return tf.function(
        lambda history, ratings, features: {"embeddings": tower.embed(history, ratings, features)},
        _strangers(tower),
    )


def _embed_new_items(tower: ItemTower) -> tf.types.experimental.GenericFunction:
    width = sum(feature.width for feature in tower.features)
    return tf.function(
        lambda features: {"embeddings": tower.embed(features)},
        [tf.TensorSpec([None, width], tf.float32, name="features")],
    )


def _strangers(tower: QueryTower) -> list[tf.TensorSpec]:
    width = sum(feature.width for feature in tower.features)
    return [
        tf.TensorSpec([None, 2], tf.int32, name="history"),
        tf.TensorSpec([None], tf.float32, name="ratings"),
        tf.TensorSpec([None, width], tf.float32, name="features"),
    ]
