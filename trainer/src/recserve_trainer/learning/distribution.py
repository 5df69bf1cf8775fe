"""Data parallelism: several workers share out the queries of each batch, never its negatives.

Every worker holds all interactions and goes through them in the same order. Of a batch it embeds
its own share of the queries and every candidate, so the softmax has the negatives that one worker
would have. The gradients, summed over the workers, are those of one worker's loss.
"""

import functools
from collections.abc import Mapping

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.errors import TrainerError

CANDIDATE = "item"
"""Name of the column that every query of a batch needs whole."""


@functools.cache
def strategy() -> tf.distribute.Strategy:
    """Returns how this process trains: with others if TF_CONFIG lists several workers, else alone.

    The first call of a process connects the workers, which waits until all have started. It must
    come before anything else that TensorFlow computes.

    Raises:
        TrainerError: TF_CONFIG is no cluster that trains in step, or TensorFlow is already in use.
    """
    try:
        resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
        cluster = resolver.cluster_spec().as_dict()
    except ValueError as error:
        raise TrainerError(f"TF_CONFIG cannot be read: {error}") from error
    others = sorted(set(cluster) - {"chief", "worker"})
    if others:
        raise TrainerError(f"TF_CONFIG lists {', '.join(others)}; only chief and worker can train")
    if sum(map(len, cluster.values())) < 2:
        return tf.distribute.get_strategy()
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        raise TrainerError(f"cannot train with {cluster}: {error}") from error


def is_chief() -> bool:
    """Tells whether this is the worker that publishes; one that trains alone is."""
    resolver = strategy().cluster_resolver
    if resolver is None or resolver.task_type == "chief":
        return True
    return resolver.task_id == 0 and "chief" not in resolver.cluster_spec().as_dict()


def wait_for_all() -> None:
    """Returns once every worker has come here; one that ended early would fail the others."""
    if strategy().num_replicas_in_sync > 1:
        tf.function(_count_workers)()


def _count_workers() -> tf.Tensor:
    ones = strategy().run(lambda: tf.ones([]))
    return strategy().reduce(tf.distribute.ReduceOp.SUM, ones, axis=None)


def batches(
    columns: Mapping[str, NDArray[np.generic]], order: NDArray[np.int64], batch_size: int
) -> tf.data.Dataset:
    """Returns one pass over the interactions, as this worker is to see it.

    Args:
        columns: [interactions] each, `item` among them.
        order: positions in the columns, the same on every worker.
        batch_size: interactions per step, of all workers together.

    Returns:
        Dictionaries of `item`, [candidates], a whole batch's, turned so that those of this
        replica's share come first; and of all other columns, [queries], the share alone.
    """
    ordered = {name: tf.constant(column[order]) for name, column in columns.items()}
    replicas = strategy().num_replicas_in_sync

    def share(start: tf.Tensor, replica: int) -> dict[str, tf.Tensor]:
        batch = {name: column[start : start + batch_size] for name, column in ordered.items()}
        size = tf.shape(batch[CANDIDATE])[0]
        first, end = size * replica // replicas, size * (replica + 1) // replicas
        own = {name: column[first:end] for name, column in batch.items()}
        return {**own, CANDIDATE: tf.roll(batch[CANDIDATE], -first, axis=0)}

    starts = tf.data.Dataset.range(0, len(order), batch_size, output_type=tf.int32)
    if replicas == 1:
        return starts.map(lambda start: share(start, 0)).prefetch(tf.data.AUTOTUNE)

    def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        # A worker's replicas, its GPUs, take one element each of its pipeline per step.
        local = replicas // context.num_input_pipelines
        first = context.input_pipeline_id * local
        shares = starts.flat_map(
            lambda start: tf.data.Dataset.range(first, first + local, output_type=tf.int32).map(
                lambda replica: share(start, replica)
            )
        )
        return shares.prefetch(tf.data.AUTOTUNE)

    return strategy().distribute_datasets_from_function(of_worker)
