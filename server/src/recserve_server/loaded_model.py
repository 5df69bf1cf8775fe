"""One model version, loaded and warm: questions in, encoded responses out."""

from collections.abc import Callable, Sequence
from pathlib import Path

from recserve.artifact.v1 import manifest_pb2
from recserve_server.catalogue import Catalogue, Users
from recserve_server.encoding import ResponseEncoder
from recserve_server.errors import ServingError
from recserve_server.model import Query, Ranking, Retriever
from recserve_server.padding import PaddedRetriever
from recserve_server.ranking import CatalogueRanker
from recserve_server.stats import PaddingStats

OpenRetriever = Callable[[Path], Retriever]
"""Opens the folder of a version; raises OSError or ValueError if it cannot."""


class LoadedModel:
    """Everything of a version that answers requests."""

    def __init__(
        self,
        folder: Path,
        manifest: manifest_pb2.Manifest,
        open_retriever: OpenRetriever,
        batch_sizes: Sequence[int],
    ) -> None:
        """Opens a verified version.

        Args:
            folder: the version's folder.
            manifest: its manifest.
            open_retriever: opens its SavedModel.
            batch_sizes: ascending numbers of users to call the model with; smaller batches are
                padded.

        Raises:
            OSError: a file cannot be read.
            ValueError: a table or the SavedModel is not as docs/artifact.md has it, or does not
                fit the manifest.
        """
        catalogue = Catalogue.open(folder / "items.arrow")
        self._users = Users.open(folder / "users.arrow")
        model = manifest.model
        if (len(catalogue), len(self._users)) != (model.item_count, model.user_count):
            raise ValueError(
                f"the tables hold {len(catalogue)} items and {len(self._users)} users, "
                f"manifest.json says {model.item_count} and {model.user_count}"
            )
        for table, rows in (("items", catalogue), ("users", self._users)):
            if not len(rows):
                raise ValueError(f"{table}.arrow holds no {table}")
        self._batch_sizes = tuple(batch_sizes)
        self._retriever = PaddedRetriever(open_retriever(folder), self._batch_sizes)
        self._ranker = CatalogueRanker(self._retriever, catalogue, self._users)
        self._encoder = ResponseEncoder(
            catalogue, name=manifest.model_name, version=manifest.model_version
        )

    @property
    def padding(self) -> PaddingStats:
        """How full the model calls were."""
        return self._retriever.stats

    def answer(self, queries: Sequence[Query]) -> list[bytes | ServingError]:
        """Returns an encoded `recserve.v1.RecommendResponse` or a failure per query, in order.

        May block; to be called by one thread at a time.

        Raises:
            ValueError: the SavedModel broke its contract.
        """
        return [
            self._encoder.encode(ranking) if isinstance(ranking, Ranking) else ranking
            for ranking in self._ranker.rank(queries)
        ]

    def warm_up(self, max_k: int) -> None:
        """Calls the model with every batch size: a size's first call takes many times the rest.

        Raises:
            ValueError: an answer is not as it must be.
        """
        user_ids = list(self._users.some_ids(max(self._batch_sizes)))
        for size in self._batch_sizes:
            for k in {10, max_k} if size == 1 else {10}:
                # Seen items included: a user who has seen everything rightly gets an empty list.
                asked = [user_ids[place % len(user_ids)] for place in range(size)]
                self._check([Query(user_id, k, include_seen=True) for user_id in asked])
        self.answer([Query("", k=10), *(Query(user_id, k=10) for user_id in user_ids[:1])])
        self._retriever.stats = PaddingStats()  # nobody asked for these

    def _check(self, queries: Sequence[Query]) -> None:
        for ranking in self._ranker.rank(queries):
            if not isinstance(ranking, Ranking):
                raise ValueError("warm-up gave scores that are not numbers")
            if not len(ranking.item_rows):
                raise ValueError("warm-up gave an empty ranking")
