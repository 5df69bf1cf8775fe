"""Who is asking: from ids, histories and features to query vectors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recserve_server.answering.eligibility import pairs
from recserve_server.answering.tables import Tables
from recserve_server.answering.user_features import Known
from recserve_server.errors import NotPersonal
from recserve_server.model import Fallback, ServedModel, Source, Strangers
from recserve_server.query import Options


class Entries(NamedTuple):
    """Items that a user took, each once."""

    rows: NDArray[np.int32]
    """int32 [n]."""
    ratings: NDArray[np.float32]
    """float32 [n], NaN where there is none."""

    def with_newer(self, newer: "Entries") -> "Entries":
        """Returns both; of what is in both, the newer rating."""
        kept = ~np.isin(self.rows, newer.rows)
        return Entries(
            np.concatenate([self.rows[kept], newer.rows]),
            np.concatenate([self.ratings[kept], newer.ratings]),
        )


_NO_ENTRIES = Entries(np.empty(0, np.int32), np.empty(0, np.float32))


@dataclass(frozen=True, slots=True)
class Asker:
    """Whom a ranking is for, as far as the model knows."""

    user_row: int
    """Row of the user table, or -1."""
    taken: NDArray[np.int32]
    """int32 [n], rows of what the user took that came with the request."""
    fresh: Entries
    """The same with ratings, for the query tower; nothing if the model has none."""
    features: Mapping[str, Known]
    """What came with the request."""
    source: Source
    fallback: Fallback | None = None
    unknown_history: int = 0
    """Items of the history that the model does not know."""

    @property
    def is_moved(self) -> bool:
        """Whether the request tells more of a known user than training knows."""
        return self.user_row >= 0 and bool(len(self.fresh.rows) or self.features)

    @property
    def is_as_trained(self) -> bool:
        """Whether the model knows the user by id, and the request tells no more."""
        return self.user_row >= 0 and not self.is_moved


class Askers:
    """Finds out who asks, and embeds them."""

    def __init__(self, model: ServedModel, tables: Tables) -> None:
        self._model, self._tables = model, tables
        self._has_tower = "embed_queries" in model.abilities

    def resolve(self, user_id: str, options: Options) -> Asker:
        """Finds what the model knows of a caller.

        Raises:
            NotPersonal: nothing, and the caller is strict.
        """
        user_row = self._tables.users.row_of.get(user_id, -1) if user_id else -1
        taken, unknown = self._known(options)
        features: dict[str, Known] = dict(options.features) if self._has_tower else {}
        fresh = taken if self._has_tower else _NO_ENTRIES
        source, fallback = self._source(user_row, fresh, features, options)
        if fallback is not None and options.strict:
            raise NotPersonal(fallback.name)
        return Asker(user_row, taken.rows, fresh, features, source, fallback, unknown)

    def embed(self, askers: Sequence[Asker]) -> NDArray[np.float32]:
        """Returns a query vector each, float32 [n, length]; popularity is none of their sources.

        A user known by id has a vector of its own. What the request tells besides moves it by as
        much as it moves the query tower's vector for the same user; in families that embed all
        users by the tower, to the very vector that the tower gives.
        """
        # Which vectors to add, and which to subtract, for whom.
        known = [place for place, asker in enumerate(askers) if asker.user_row >= 0]
        after = [place for place, each in enumerate(askers) if each.is_moved or each.user_row < 0]
        before = [place for place, asker in enumerate(askers) if asker.is_moved]
        parts: list[tuple[list[int], NDArray[np.float32]]] = []
        if known:
            rows = np.array([askers[place].user_row for place in known], np.int32)
            parts.append((known, self._model.embed_users(rows)))
        if after:
            strangers = self._strangers(
                [self.told(askers[place]) for place in after]
                + [self._trained(askers[place]) for place in before]
            )
            embedded = self._model.embed_queries(strangers)
            parts.append((after, embedded[: len(after)]))
            parts.append((before, -embedded[len(after) :]))
        queries = np.zeros((len(askers), parts[0][1].shape[1]), np.float32)
        for places, vectors in parts:
            queries[places] += vectors
        return queries

    def strangers(self, askers: Iterable[Asker]) -> Strangers:
        """Returns all that is known of some callers, as the query tower takes it."""
        return self._strangers([self.told(asker) for asker in askers])

    def told(self, asker: Asker) -> tuple[Entries, Mapping[str, Known]]:
        """Returns everything that a caller took, and its features."""
        if asker.user_row < 0:
            return asker.fresh, asker.features
        entries, profile = self._trained(asker)
        return entries.with_newer(asker.fresh), {**profile, **asker.features}

    def _trained(self, asker: Asker) -> tuple[Entries, Mapping[str, Known]]:
        users, row = self._tables.users, asker.user_row
        return Entries(users.history(row), users.ratings(row)), users.profile(row)

    def _known(self, options: Options) -> tuple[Entries, int]:
        if not options.history:
            return _NO_ENTRIES, 0
        rows = self._tables.catalogue.rows.rows([each.item_id for each in options.history])
        ratings = np.array([each.rating for each in options.history], np.float32)
        is_known = rows >= 0
        return Entries(rows[is_known], ratings[is_known]), int(len(rows) - is_known.sum())

    def _source(
        self,
        user_row: int,
        fresh: Entries,
        features: Mapping[str, Known],
        options: Options,
    ) -> tuple[Source, Fallback | None]:
        if user_row >= 0:
            return Source.USER_ID_AND_HISTORY if len(fresh.rows) else Source.USER_ID, None
        if len(fresh.rows):
            return Source.HISTORY, None
        if features and self._tables.encoder.known(features):
            return Source.FEATURES, None
        if not (options.history or options.features):
            return Source.POPULARITY, Fallback.UNKNOWN_USER
        return (
            Source.POPULARITY,
            Fallback.NOTHING_KNOWN if self._has_tower else Fallback.NO_QUERY_TOWER,
        )

    def _strangers(self, told: Sequence[tuple[Entries, Mapping[str, Known]]]) -> Strangers:
        encoder = self._tables.encoder
        return Strangers(
            pairs([entries.rows for entries, _ in told]),
            np.concatenate([entries.ratings for entries, _ in told]),
            np.stack([encoder.encode(values) for _, values in told]),
        )
