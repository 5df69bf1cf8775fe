"""What single settings are worth, on folds inside the training part of MovieLens 100K's seed 42.

The test part is not looked at. Each fold is a fifth of each item's training interactions.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recserve_trainer.evaluation.split import Split
    from recserve_trainer.interactions import Dataset

FOLDS = 5
PLAIN = {"session_weight": "0", "ease_side_weight": "0", "user_weight_power": "0"}
ONLY_FACTORS = {"blend": "1000"}
"""So much weight that the other half of the blend counts for nothing."""
VARIANTS: dict[str, tuple[tuple[str, dict[str, str]], ...]] = {
    "history": (
        ("as it is", {}),
        (
            "EASE alone, l2 400, no weights, sessions, attributes",
            {**PLAIN, "ease_l2": "400", "blend": "0"},
        ),
        ("EASE alone with all of them", {"blend": "0"}),
        ("iALS alone", ONLY_FACTORS),
        ("iALS alone without attributes", {**ONLY_FACTORS, "ials_side_weight": "0"}),
        (
            "iALS alone without attributes and ratings",
            {**ONLY_FACTORS, "ials_side_weight": "0", "least_confidence": "1"},
        ),
        ("64 dimensions", {"dimension": "64"}),
    ),
    "collaborative": (
        ("as it is", {}),
        ("vectors of the last step, not averages", {"averaging": "false"}),
        ("ratings do not weigh", {"least_confidence": "1"}),
        ("no correction for popular negatives (logQ)", {"sampling_correction": "false"}),
        ("no item bias", {"item_bias": "false"}),
        ("no L2", {"l2": "0"}),
    ),
}


def main() -> int:
    """Prints a line per variant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, required=True, help="GroupLens' ml-100k.zip")
    parser.add_argument("--family", choices=VARIANTS, default="history")
    parser.add_argument("--folds", type=int, default=FOLDS, help="how many of the five")
    arguments = parser.parse_args()

    from recserve_trainer.datasets.movielens_archive import read_archive

    dataset = read_archive(arguments.archive)
    splits = list(_folds(dataset))[: arguments.folds]
    print(f"{arguments.family}, mean nDCG@10 of {len(splits)} folds")
    for name, settings in VARIANTS[arguments.family]:
        values = [_ndcg(dataset, split, arguments.family, settings) for split in splits]
        print(f"{sum(values) / len(values):.4f}  {name}", flush=True)
    return 0


def _folds(dataset: "Dataset") -> Iterator["Split"]:
    import numpy as np

    from recserve_trainer.evaluation.protocols import stratified_split
    from recserve_trainer.evaluation.split import Split

    train = stratified_split(dataset.interactions, "item", seed=42).train
    random = np.random.default_rng(0).random(len(train))
    order = np.lexsort((random, train.item_rows))
    places = np.arange(len(train)) - np.searchsorted(train.item_rows[order], train.item_rows[order])
    fold_of = np.empty(len(train), np.intp)
    fold_of[order] = places % FOLDS
    nothing = train.take(np.empty(0, np.intp))
    for fold in range(FOLDS):
        held = fold_of == fold
        yield Split(
            train=train.take(np.flatnonzero(~held)),
            validation=nothing,
            test=train.take(np.flatnonzero(held)),
            description=f"fold {fold}",
        )


def _ndcg(dataset: "Dataset", split: "Split", family: str, settings: dict[str, str]) -> float:
    from recserve_trainer.evaluation.metrics import evaluate
    from recserve_trainer.families.training import FAMILIES
    from recserve_trainer.fit_configs import FIT_CONFIGS
    from recserve_trainer.interactions import Histories

    config = FIT_CONFIGS[family]().with_settings(settings)
    training = FAMILIES[family](dataset, split, config)
    for _ in range(config.epochs):
        training.run_epoch()
    users = len(dataset.users)
    return evaluate(
        training.model().embeddings.score,
        Histories.of(users, split.test),
        Histories.of(users, split.train),
        k=10,
        item_count=len(dataset.items),
    ).ndcg


if __name__ == "__main__":
    sys.exit(main())
