"""Adds to rankings what is told of them: percentiles, reasons, and what was passed over."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recserve_server.answering.askers import Asker, Askers
from recserve_server.answering.tables import Tables
from recserve_server.model import Extras, Ranking, ServedModel, Source, Why
from recserve_server.query import Options

_MOST_CONTRIBUTIONS: Final = 3
_TOLERANCE: Final = 1e-3
"""Of the largest score: float32 sums in another order."""


@dataclass(frozen=True, slots=True)
class Told:
    """A ranking, and what it is an answer to."""

    ranking: Ranking
    asker: Asker
    options: Options
    unknown_excluded: int = 0
    unknown_item_ids: tuple[str, ...] = ()


class Teller:
    """Tells of rankings what their callers want to know."""

    def __init__(self, model: ServedModel, tables: Tables, askers: Askers) -> None:
        self._model, self._tables, self._askers = model, tables, askers

    def tell(self, told: Sequence[Told]) -> list[Ranking]:
        """Returns the rankings with their extras, in order."""
        whys = self._explain(told)
        return [self._with_extras(each, whys.get(place)) for place, each in enumerate(told)]

    def _with_extras(self, told: Told, whys: tuple[Why, ...] | None) -> Ranking:
        options, ranking = told.options, told.ranking
        is_full = options.telling.full
        extras = Extras(
            unknown_excluded=told.unknown_excluded,
            unknown_history=told.asker.unknown_history,
            unknown_item_ids=told.unknown_item_ids,
            is_degraded=options.is_degraded,
            is_full=is_full,
            percentiles=self._percentiles(ranking) if is_full else None,
            whys=whys,
        )
        return ranking._replace(extras=extras)

    def _percentiles(self, ranking: Ranking) -> NDArray[np.float32] | None:
        if ranking.source is Source.POPULARITY:
            counts = self._tables.catalogue.ascending_counts
            below = np.searchsorted(counts, ranking.scores, side="left")
            return (100 * below / len(counts)).astype(np.float32)
        return self._tables.percentiles.of(_first_stage(ranking))

    def _explain(self, told: Sequence[Told]) -> dict[int, tuple[Why, ...]]:
        wanted = [place for place, each in enumerate(told) if each.options.telling.explain]
        whys = {place: (Why(),) * len(told[place].ranking.item_rows) for place in wanted}
        personal = [
            place
            for place in wanted
            if told[place].ranking.source is not Source.POPULARITY
            and len(told[place].ranking.item_rows)
        ]
        if personal:
            found = self._contributions([told[place] for place in personal])
            whys.update(zip(personal, found, strict=True))
        return whys

    def _contributions(self, told: Sequence[Told]) -> list[tuple[Why, ...]]:
        """Explains personal rankings, none of them empty, in one model call."""
        strangers = self._askers.strangers([each.asker for each in told])
        width = max(len(each.ranking.item_rows) for each in told)
        items = np.zeros((len(told), width), np.int32)
        for place, each in enumerate(told):
            items[place, : len(each.ranking.item_rows)] = each.ranking.item_rows
        added, rest = self._model.explain(strangers, items)
        whys = []
        for place, each in enumerate(told):
            count = len(each.ranking.item_rows)
            mine = strangers.history[:, 0] == place
            entries, parts = strangers.history[mine, 1], added[mine, :count]
            expected = _first_stage(each.ranking)
            gaps = np.abs(parts.sum(axis=0) + rest[place, :count] - expected)
            is_exact = bool(gaps.max() <= _TOLERANCE * max(1.0, float(np.abs(expected).max())))
            whys.append(
                tuple(
                    self._why(row, entries, parts[:, column], is_exact)
                    for column, row in enumerate(each.ranking.item_rows.tolist())
                )
            )
        return whys

    def _why(
        self,
        item_row: int,
        entries: NDArray[np.int32],
        parts: NDArray[np.float32],
        is_exact: bool,
    ) -> Why:
        # That somebody took an item is no reason to offer it.
        speaks = np.flatnonzero((parts > 0) & (entries != item_row))
        best = speaks[np.argsort(-parts[speaks], kind="stable")][:_MOST_CONTRIBUTIONS]
        contributions = tuple((int(entries[place]), float(parts[place])) for place in best)
        return Why(
            contributions, is_exact, self._shared(item_row, [row for row, _ in contributions])
        )

    def _shared(
        self, item_row: int, others: Sequence[int]
    ) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Returns the texts that an item shares with others, by attribute."""
        theirs: dict[str, set[str]] = {}
        for row in others:
            for name, value in self._tables.attributes.values(row):
                if isinstance(value, tuple):
                    theirs.setdefault(name, set()).update(value)
        shared = []
        for name, value in self._tables.attributes.values(item_row):
            if isinstance(value, tuple):
                common = tuple(text for text in value if text in theirs.get(name, ()))
                if common:
                    shared.append((name, common))
        return tuple(shared)


def _first_stage(ranking: Ranking) -> NDArray[np.float32]:
    return ranking.scores if ranking.retrieval_scores is None else ranking.retrieval_scores
