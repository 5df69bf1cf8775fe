"""What every retrieval family comes to, and what the fitting loop asks of one."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Embeddings:
    """A trained retrieval model: score = user . item."""

    users: NDArray[np.float32]
    """[users, length], one row per user of the dataset."""
    items: NDArray[np.float32]
    """[items, length], one row per item of the catalogue."""

    def score(self, user_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Returns float32 [len(user_rows), items]."""
        return self.users[user_rows] @ self.items.T


class Training(Protocol):
    """One model of some family being fitted to one split."""

    def run_epoch(self) -> dict[str, float]:
        """Makes one pass over the training interactions; returns what to log, by name."""
        ...

    def embeddings(self) -> Embeddings:
        """Returns the vectors as they stand."""
        ...
