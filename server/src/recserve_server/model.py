"""What passes between a request and a model; the seams that tests and engines share."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from recserve_server.batch_runner import BatchRunner
from recserve_server.stats import PaddingStats


class Query(NamedTuple):
    """One validated question."""

    user_id: str
    k: int
    """Items wanted, 1 or more."""
    include_seen: bool = False
    """Whether the user's training history may come back."""


class Source(Enum):
    """What a ranking was made from."""

    USER_ID = "user_id"
    POPULARITY = "popularity"


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """One answer, best item first."""

    item_rows: NDArray[np.int32]
    """int32 [n], rows of the item table, each at most once."""
    scores: NDArray[np.float32]
    """float32 [n], descending."""
    source: Source


class Retriever(Protocol):
    """The numeric heart of a model: users and catalogue as rows of its tables."""

    def retrieve(
        self, user_rows: NDArray[np.int32], k: int, excluded: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Ranks the catalogue for each user.

        Args:
            user_rows: int32 [batch].
            k: 1 <= k <= number of items.
            excluded: int32 [n, 2], pairs (position in the batch, item row).

        Returns:
            Item rows, int32 [batch, k], and scores, float32 [batch, k], each row descending,
            equal scores by ascending item row; an excluded item has the score -inf.
        """
        ...


class ModelRunner(BatchRunner[Query, bytes], Protocol):
    """A loaded model: takes queries, gives encoded `recserve.v1.RecommendResponse`s."""

    @property
    def padding(self) -> PaddingStats:
        """How full the model calls were."""
        ...

    async def connect(self) -> None:
        """Makes it ready to run batches from the current event loop."""
        ...

    def kill(self) -> None:
        """Ends it, if it can be ended, whatever it does."""
        ...

    async def wait_until_gone(self) -> int:
        """Returns an exit code once it can run no more batches; most never return."""
        ...
