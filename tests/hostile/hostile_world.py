"""What all hostile callers meet: one small model whose answers are known."""

from pathlib import Path

import numpy as np

from recserve_server.matrix_model import MatrixModel

USERS, ITEMS = 6, 40
SCORES = np.random.default_rng(7).permutation(USERS * ITEMS).reshape(USERS, ITEMS)
MODEL = MatrixModel(
    SCORES.astype(np.float32),
    item_item=np.eye(ITEMS, dtype=np.float32),
    age_scores=np.ones(ITEMS, np.float32),
    attributes={
        "genres": [["Drama", "War"] if row % 2 else ["Comedy"] for row in range(ITEMS)],
        "year": [float(1980 + row) for row in range(ITEMS)],
    },
)


def best(user: int, k: int) -> list[str]:
    """Returns what a normal call must be answered."""
    return [f"i{row}" for row in np.argsort(-SCORES[user])[:k]]


def publish(folder: Path) -> Path:
    """Writes the model; returns the folder of models."""
    MODEL.publish(folder)
    return folder
