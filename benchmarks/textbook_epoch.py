"""What an epoch of the tutorials' two-tower loop takes, beside one of `collaborative`.

    python benchmarks/textbook_epoch.py --archive ml-100k.zip --steps 1

The tutorials' loop, as the "movielens" chapters of TensorFlow Recommenders' documentation have it
and books repeat it: towers over strings, batches of 8192, Adagrad, and FactorizedTopK on every
training batch, over candidates that are mapped from the ratings, so that each of 100,000 ratings is
a candidate. Both loops go through the same random 80 percent of the interactions. The tutorials'
epoch takes minutes: by default one of its steps is measured and multiplied, which is told.
"""

import argparse
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import recserve_trainer  # noqa: F401  # before TensorFlow: it chooses the Keras that TFRS needs

# isort: split
import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from recserve_trainer.config import DatasetConfig
from recserve_trainer.datasets.load import load_dataset
from recserve_trainer.evaluation.split import Split
from recserve_trainer.families.collaborative import CollaborativeTraining
from recserve_trainer.fit_configs import CollaborativeConfig
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.progress import Progress

TRAIN_SHARE = 0.8
BATCH_SIZE = 8192
CANDIDATES_PER_BATCH = 128
DIMENSION = 32
OUR_EPOCHS = 5
WARM_UP_QUERIES = 8


class TextbookModel(tfrs.Model):
    """Inputs: string [batch] `user_id` and `movie_title`."""

    def __init__(self, users: list[str], titles: list[str], ratings: tf.data.Dataset) -> None:
        super().__init__()
        self.user_model = _tower(users)
        self.movie_model = _tower(titles)
        candidates = ratings.batch(CANDIDATES_PER_BATCH).map(
            lambda batch: self.movie_model(batch["movie_title"])
        )
        self.task = tfrs.tasks.Retrieval(metrics=tfrs.metrics.FactorizedTopK(candidates))

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Returns the summed loss of a batch; the metrics are computed while training too."""
        return self.task(
            self.user_model(inputs["user_id"]), self.movie_model(inputs["movie_title"])
        )


def main() -> None:
    """Measures both and prints their ratio."""
    arguments = _parser().parse_args()
    dataset = load_dataset(
        DatasetConfig(
            name=arguments.dataset, data_dir=arguments.data_dir, archive=arguments.archive
        ),
        Progress(),
    )
    order = np.random.default_rng(42).permutation(len(dataset.interactions))
    train = dataset.interactions.take(order[: round(TRAIN_SHARE * len(order))])
    steps = -(-len(train) // BATCH_SIZE)
    measured = min(arguments.steps, steps)
    ours_s = our_epoch_s(dataset, train)
    print(f"collaborative: {ours_s:.2f} s, median of {OUR_EPOCHS} epochs of {len(train):,}")
    seconds, interactions = textbook_steps(dataset, train, measured)
    textbook_s = seconds * len(train) / interactions
    how = "measured" if interactions == len(train) else f"{measured} of {steps} steps, multiplied"
    print(f"textbook: {textbook_s:.0f} s per epoch ({how}: {seconds:.1f} s for {interactions:,})")
    print(f"ratio: {textbook_s / ours_s:.0f}, on {len(os.sched_getaffinity(0))} cores")


def our_epoch_s(dataset: Dataset, train: Interactions) -> float:
    """Returns the median wall time of an epoch, the first, which traces the graph, left out."""
    none = train.take(np.empty(0, np.intp))
    training = CollaborativeTraining(dataset, Split(train, none, none, ""), CollaborativeConfig())
    seconds = []
    for _ in range(OUR_EPOCHS + 1):
        start_s = time.perf_counter()
        training.run_epoch()
        seconds.append(time.perf_counter() - start_s)
    return statistics.median(seconds[1:])


def textbook_steps(dataset: Dataset, train: Interactions, steps: int) -> tuple[float, int]:
    """Returns the seconds that `steps` steps take, tracing left out, and their interactions."""
    ratings = _strings(dataset, dataset.interactions)
    model = TextbookModel(dataset.user_ids, sorted(set(dataset.items.titles)), ratings)
    model.compile(optimizer=tf.keras.optimizers.Adagrad(learning_rate=0.1))
    rows = _strings(dataset, train)
    # Traced with a few queries: the dimension of the batch is open, so it is the same graph.
    model.fit(rows.take(WARM_UP_QUERIES).batch(BATCH_SIZE), verbose=0)
    interactions = min(len(train), steps * BATCH_SIZE)
    batches = rows.take(interactions).shuffle(100_000, seed=42).batch(BATCH_SIZE).cache()
    start_s = time.perf_counter()
    model.fit(batches, epochs=1, verbose=0)
    return time.perf_counter() - start_s, interactions


def _strings(dataset: Dataset, interactions: Interactions) -> tf.data.Dataset:
    users, titles = np.array(dataset.user_ids), np.array(dataset.items.titles)
    return tf.data.Dataset.from_tensor_slices(
        {
            "user_id": users[interactions.user_rows],
            "movie_title": titles[interactions.item_rows],
        }
    )


def _tower(vocabulary: list[str]) -> tf.keras.Sequential:
    return tf.keras.Sequential(
        [
            tf.keras.layers.StringLookup(vocabulary=vocabulary, mask_token=None),
            tf.keras.layers.Embedding(len(vocabulary) + 1, DIMENSION),
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="auto", help="as recserve-train takes it")
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser(),
        metavar="DIR",
    )
    parser.add_argument("--archive", type=Path, metavar="FILE", help="ml-100k.zip, without network")
    parser.add_argument(
        "--steps", type=int, default=1, help="of the tutorials' steps to measure; 10 is all"
    )
    return parser


if __name__ == "__main__":
    main()
