"""Invented interactions that several tests learn from."""

import numpy as np

from recserve_trainer.evaluation.split import Split
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.tables import ItemTable, UserTable, category_column


def make_world(users: int = 40, items: int = 60, seed: int = 0) -> tuple[Dataset, Split]:
    """Returns a dataset and a split of it: a random fifth of the interactions tests."""
    random = np.random.default_rng(seed)
    kinds = np.arange(items) % 2
    tastes = np.arange(users) % 2
    chance = np.where(tastes[:, None] == kinds[None, :], 0.4, 0.1)
    user_rows, item_rows = np.nonzero(random.random((users, items)) < chance)
    interactions = Interactions(
        user_rows.astype(np.int32),
        item_rows.astype(np.int32),
        random.integers(1, 6, len(user_rows)).astype(np.float32),
        random.integers(0, 10**6, len(user_rows)),
    )
    dataset = Dataset(
        "world",
        "1",
        UserTable(
            [f"u{user}" for user in range(users)],
            {"taste": category_column([("a", "b")[taste] for taste in tastes])},
        ),
        ItemTable(
            [f"i{item}" for item in range(items)],
            [f"Item {item}" for item in range(items)],
            {"kind": category_column([["x", "y"][kind : kind + 1] for kind in kinds])},
        ),
        interactions,
    )
    is_test = random.random(len(interactions)) < 0.2
    nothing = interactions.take(np.empty(0, np.intp))
    return dataset, Split(
        train=interactions.take(np.flatnonzero(~is_test)),
        validation=nothing,
        test=interactions.take(np.flatnonzero(is_test)),
        description="random",
    )
