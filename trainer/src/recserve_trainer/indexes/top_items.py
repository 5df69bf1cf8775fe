"""The last step of every exact search: from scores to a ranking."""

from typing import Final

import tensorflow as tf

from recserve_trainer.indexes.block_top_k import FEWEST_ITEMS, block_top_k

NOTHING: Final = float("-inf")
"""The score of what must not be found."""


def only_eligible(scores: tf.Tensor, mask_of: tf.Tensor, masks: tf.Tensor) -> tf.Tensor:
    """Takes the scores away from items that are not eligible.

    Args:
        scores: float32 [batch, items].
        mask_of: int32 [batch], rows of `masks`.
        masks: bool [m, items], True where an item is eligible.

    Returns:
        float32 [batch, items], -inf where an item is not eligible.
    """
    return tf.where(tf.gather(masks, mask_of), scores, NOTHING)


def top_items(scores: tf.Tensor, k: tf.Tensor, excluded: tf.Tensor) -> dict[str, tf.Tensor]:
    """Ranks by scores.

    Args:
        scores: float32 [batch, items], items known when the graph is made; no NaN.
        k: int32 scalar, 1 or more; more than the catalogue is taken as the catalogue.
        excluded: int32 [n, 2], pairs (position in the batch, item row).

    Returns:
        `item_rows`, int32, and `scores`, float32, both [batch, min(k, items)], each row
        descending, equal scores by ascending item row. What is excluded has the score -inf.
    """
    item_count = int(scores.shape[1])
    masked = tf.tensor_scatter_nd_update(
        scores, excluded, tf.fill([tf.shape(excluded)[0]], NOTHING)
    )
    k = tf.minimum(k, item_count)
    if item_count >= FEWEST_ITEMS:
        rows, best = block_top_k(tf.ensure_shape(masked, [None, item_count]), k)
    else:
        best, rows = tf.math.top_k(masked, k)
    return {"item_rows": rows, "scores": best}
