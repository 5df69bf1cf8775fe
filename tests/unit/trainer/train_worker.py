"""One process of a cluster, or a process alone: trains on invented tastes and writes the model.

    TF_CONFIG=... python train_worker.py OUT.npz

The number of interactions, 1001, makes the last batch odd, so that workers get unequal shares.
"""

import sys
from pathlib import Path

import numpy as np
from rich.console import Console

from recserve_trainer.config import DatasetConfig, TrainConfig
from recserve_trainer.errors import TrainerError
from recserve_trainer.evaluation.split import Split
from recserve_trainer.families.collaborative import CollaborativeTraining
from recserve_trainer.families.training import fit
from recserve_trainer.fit_configs import CollaborativeConfig, PopularityConfig
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.learning import distribution
from recserve_trainer.progress import Progress
from recserve_trainer.tables import ItemTable, UserTable

USERS, ITEMS, INTERACTIONS, EPOCHS = 50, 40, 1001, 3
CONFIG = CollaborativeConfig(embedding_dimension=8, batch_size=64, learning_rate=0.02, seed=5)


def main(out: str) -> None:
    distribution.strategy()
    random = np.random.default_rng(1)
    users, items = np.divmod(np.arange(USERS * ITEMS), ITEMS)
    tastes = np.flatnonzero(users % 2 == items % 2)
    pairs = random.choice(np.tile(tastes, 2), INTERACTIONS, replace=False)
    interactions = Interactions(
        users[pairs].astype(np.int32),
        items[pairs].astype(np.int32),
        random.integers(1, 6, INTERACTIONS).astype(np.float32),
        np.arange(INTERACTIONS),
    )
    ids = [str(row) for row in range(max(USERS, ITEMS))]
    dataset = Dataset(
        "d", "1", UserTable(ids[:USERS]), ItemTable(ids[:ITEMS], ids[:ITEMS]), interactions
    )
    none = interactions.take(np.arange(0))
    split = Split(interactions, none, none, "all of it")
    training = CollaborativeTraining(dataset, split, CONFIG)
    losses = [training.run_epoch()["loss"] for _ in range(EPOCHS)]
    embeddings = training.model().embeddings
    try:
        popularity = TrainConfig(
            dataset=DatasetConfig(data_dir=Path()), models_dir=Path(), fit=PopularityConfig()
        )
        fit(dataset, split, popularity, Path(out).with_suffix(""), Progress(Console(quiet=True)))
        refusal = ""
    except TrainerError as error:
        refusal = str(error)
    np.savez(
        out,
        losses=losses,
        steps=training.step_count,
        users=embeddings.users,
        items=embeddings.items,
        is_chief=distribution.is_chief(),
        refusal=refusal,
        workers=distribution.strategy().num_replicas_in_sync,
    )
    distribution.wait_for_all()


if __name__ == "__main__":
    main(sys.argv[1])
