"""A published version as a server sees it: the SavedModel and its signatures, nothing else."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.errors import TrainerError
from recserve_trainer.evaluation.metrics import Excluded, Rankings
from recserve_trainer.features import Feature, encode
from recserve_trainer.interactions import Interactions
from recserve_trainer.retrieval import Queries
from recserve_trainer.tables import UserTable

_USERS_PER_BATCH: Final = 256


class ServedModel:
    """Ranks through the signatures that docs/artifact.md describes."""

    def __init__(self, folder: Path) -> None:
        """Loads MODELS/NAME/VERSION; of an index by scann, `scann` has to be imported before."""
        # Held: a signature does not keep alive the variables that it reads.
        self._loaded = tf.saved_model.load(str(folder))
        self._signatures: dict[str, Any] = dict(self._loaded.signatures)

    def by_id(self, user_rows: NDArray[np.int32], excluded: Excluded, *, k: int) -> Rankings:
        """Asks `recommend` for users of the user table.

        Args:
            user_rows: int32 [users].
            excluded: what must not be recommended.
            k: length of the rankings.
        """
        return _in_batches(
            user_rows,
            lambda batch: self._signatures["recommend"](
                user_rows=tf.constant(batch),
                k=tf.constant(k),
                excluded=tf.constant(excluded.pairs(batch)),
            ),
        )

    def by_query(
        self,
        user_rows: NDArray[np.int32],
        queries: Callable[[NDArray[np.int32]], Queries],
        excluded: Excluded,
        *,
        k: int,
    ) -> Rankings:
        """Asks `embed_queries`, then `search`, for users who come without an id.

        Args:
            user_rows: int32 [users], rows that `queries` and `excluded` understand.
            queries: what a batch of users brings.
            excluded: what must not be recommended.
            k: length of the rankings.

        Raises:
            TrainerError: the model takes ids only.
        """
        if "embed_queries" not in self._signatures:
            raise TrainerError(
                "this family has no query tower, so it cannot be asked for new users; choose "
                "another --model, or --split item, user, time or new-items"
            )

        def search(batch: NDArray[np.int32]) -> dict[str, tf.Tensor]:
            asked = queries(batch)
            embedded = self._signatures["embed_queries"](
                history=tf.constant(asked.history),
                ratings=tf.constant(asked.ratings),
                features=tf.constant(asked.features),
            )
            found: dict[str, tf.Tensor] = self._signatures["search"](
                query_embeddings=embedded["embeddings"],
                k=tf.constant(k),
                excluded=tf.constant(excluded.pairs(batch)),
            )
            return found

        return _in_batches(user_rows, search)


def queries_of(
    known: Interactions, users: UserTable, features: Sequence[Feature]
) -> Callable[[NDArray[np.int32]], Queries]:
    """Returns what makes queries out of what users took, with their ratings and profiles.

    Args:
        known: what comes with the queries.
        users: gives the profiles.
        features: those of the query tower.
    """
    profiles = encode(features, users.columns, len(users))
    # Ascending, and each pair once.
    _, first = np.unique(np.stack([known.user_rows, known.item_rows]), axis=1, return_index=True)
    once = known.take(first)

    def of(user_rows: NDArray[np.int32]) -> Queries:
        position_of = np.full(len(users), -1, np.int32)
        position_of[user_rows] = np.arange(len(user_rows), dtype=np.int32)
        positions = position_of[once.user_rows]
        asked = np.flatnonzero(positions >= 0)
        return Queries(
            history=np.stack([positions[asked], once.item_rows[asked]], axis=1),
            ratings=once.ratings[asked],
            features=profiles[user_rows],
        )

    return of


def _in_batches(
    user_rows: NDArray[np.int32], ask: Callable[[NDArray[np.int32]], dict[str, tf.Tensor]]
) -> Rankings:
    rows: list[NDArray[np.int32]] = []
    for start in range(0, len(user_rows), _USERS_PER_BATCH):
        found = ask(user_rows[start : start + _USERS_PER_BATCH])
        # Excluded items stand behind all others with this score; a caller drops them.
        is_found = found["scores"].numpy() > -np.inf
        rows.append(np.where(is_found, found["item_rows"].numpy(), -1).astype(np.int32))
    return Rankings(user_rows, np.concatenate(rows))
