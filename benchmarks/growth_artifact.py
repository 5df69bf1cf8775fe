"""Publishes a model of any size without training: clustered vectors through the trainer's own code.

A program of its own, so that TensorFlow and the vectors are gone before a server is measured.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from recserve.artifact.v1.manifest_pb2 import Manifest
    from recserve_trainer.interactions import Histories

_DIMENSIONS = 64
_SEED = 7
_SEEN_ITEMS = 50
_MOST_INTERACTIONS = 1000


def publish(items: int, kind: str, users: int, models: Path) -> Path:
    """Publishes MODELS/films/1 and returns its folder.

    Each of `users` users has seen 50 items at most. Whatever recall the index has is accepted; the
    manifest tells it.

    Raises:
        recserve_trainer.errors.TrainerError: it cannot be published.
    """
    from recserve_trainer.artifact.export import Artifact
    from recserve_trainer.artifact.export import publish as publish_artifact
    from recserve_trainer.config import IndexConfig
    from recserve_trainer.datasets.clustered import clustered_vectors
    from recserve_trainer.retrieval import Embeddings, RetrievalModel
    from recserve_trainer.tables import ItemTable, UserTable, category_column, number_column

    random = np.random.default_rng(_SEED)
    artifact = Artifact(
        model=RetrievalModel(
            Embeddings(
                users=clustered_vectors(users, _DIMENSIONS, seed=_SEED, part=1),
                items=clustered_vectors(items, _DIMENSIONS, seed=_SEED),
            )
        ),
        users=UserTable([str(row) for row in range(users)]),
        histories=_histories(items, users, random),
        items=ItemTable(
            ids=[str(row) for row in range(items)],
            titles=[f"Film number {row} (1999)" for row in range(items)],
            columns={
                "year": number_column([1999] * items),
                "genres": category_column([["Drama"]] * items),
            },
        ),
        train_counts=random.zipf(1.5, items).clip(max=_MOST_INTERACTIONS),
        manifest=_manifest(items, users),
        index=IndexConfig(kind=kind, min_recall=0),
    )
    return publish_artifact(artifact, models)


def _histories(items: int, users: int, random: np.random.Generator) -> "Histories":
    from recserve_trainer.interactions import Histories, Interactions

    count = users * _SEEN_ITEMS
    seen = Interactions(
        user_rows=np.repeat(np.arange(users, dtype=np.int32), _SEEN_ITEMS),
        item_rows=random.integers(0, items, count, dtype=np.int32),
        ratings=np.ones(count, np.float32),
        timestamps=np.zeros(count, np.int64),
    )
    return Histories.of(users, seen)


def _manifest(items: int, users: int) -> "Manifest":
    from recserve.artifact.v1 import manifest_pb2

    return manifest_pb2.Manifest(
        model_name="films",
        model=manifest_pb2.Model(
            kind="collaborative",
            embedding_dimension=_DIMENSIONS,
            user_count=users,
            item_count=items,
        ),
    )


def main() -> int:
    """Publishes one model from the command line and prints its folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, required=True)
    parser.add_argument("--kind", choices=("exact", "scann"), required=True)
    parser.add_argument("--users", type=int, default=1000)
    parser.add_argument("--models", type=Path, required=True, metavar="DIR")
    args = parser.parse_args()
    # Set before the imports of TensorFlow, which are all inside functions for that.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from recserve_trainer.errors import TrainerError

    try:
        print(publish(args.items, args.kind, args.users, args.models))
    except TrainerError as error:
        print(f"growth_artifact: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
