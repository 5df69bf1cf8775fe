"""What one trained model must answer, worked out from scores alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from recserve_client import Filter, ScoredItem

from .bases import Base, Told
from .questions import Question

_RELATIVE: Final = 1e-4
_ABSOLUTE: Final = 1e-3


@dataclass(frozen=True)
class Expected:
    """All that a list may be."""

    scores: np.ndarray
    eligible: np.ndarray
    """bool [items]."""
    k: int
    optional: np.ndarray | None = None
    """bool [items]: eligible ones that may be missing."""

    @property
    def surely(self) -> np.ndarray:
        """bool [items], eligible ones that must not be missing while there is room."""
        return self.eligible if self.optional is None else self.eligible & ~self.optional


class Truth:
    """What one base must answer."""

    def __init__(self, base: Base, told: Sequence[Told]) -> None:
        self.base, self.told = base, told
        self.rows = base.rows

    def mask(self, item_ids: Sequence[str] | frozenset[str]) -> np.ndarray:
        """Returns bool [items], the known ones of some items."""
        mask = np.zeros(len(self.rows), bool)
        mask[[self.rows[each] for each in item_ids if each in self.rows]] = True
        return mask

    def eligible(self, options: dict[str, Any]) -> np.ndarray:
        """Returns bool [items], what a request lets through."""
        eligible = ~self.mask(options.get("excluded_item_ids", ()))
        if options.get("allowed_item_ids"):
            eligible &= self.mask(options["allowed_item_ids"])
        for each in options.get("filters", ()):
            eligible &= self._fulfils(each)
        return eligible

    def of_user(self, user_id: str, question: Question) -> tuple[np.ndarray, np.ndarray, str]:
        """Returns scores, bool [items] of what was seen, and the source."""
        row = self.base.users.get(user_id)
        seen = np.zeros(len(self.rows), bool)
        if row is not None:
            seen[self.base.histories[row]] = True
        if question.told is not None:
            seen |= self.mask(self.told[question.told].item_ids)
            source = "history" if row is None else "user_id_and_history"
            return self.base.told_scores[question.told], seen, source
        if row is None:
            return self.base.counts, seen, "popularity"
        return self.base.user_scores[row], seen, "user_id"

    def problem(self, items: Sequence[ScoredItem], expected: Expected) -> str:
        """Says what is wrong with a list; nothing if it is right."""
        if any(each.item_id not in self.rows for each in items):
            return "an item that the version does not have"
        rows = np.array([self.rows[each.item_id] for each in items], np.int64)
        if any(each.title != self.base.titles[row] for each, row in zip(items, rows, strict=True)):
            return "a title of another item"
        told = np.array([each.score for each in items], np.float64)
        return wrong_items(rows, expected) or self._wrong_scores(rows, told, expected)

    @staticmethod
    def _wrong_scores(rows: np.ndarray, told: np.ndarray, expected: Expected) -> str:
        if not np.allclose(told, expected.scores[rows], rtol=_RELATIVE, atol=_ABSOLUTE):
            return "scores that the version does not give"
        if (np.diff(told) > 0).any():
            return "not in order"
        missing = expected.surely.copy()
        missing[rows] = False
        if len(rows) and missing.any():
            best, last = float(expected.scores[missing].max()), float(told[-1])
            if best > last + _ABSOLUTE + _RELATIVE * abs(last):
                return "a better item is missing"
        return ""

    def _fulfils(self, condition: Filter) -> np.ndarray:
        if condition.kind == "range":
            years = self.base.years
            return (condition.minimum <= years) & (years <= condition.maximum)
        wanted = set(condition.values)
        if condition.kind == "all":
            return np.array([wanted <= names for names in self.base.genres])
        has = np.array([bool(wanted & names) for names in self.base.genres])
        return has if condition.kind == "any" else ~has


def wrong_items(rows: np.ndarray, expected: Expected) -> str:
    """Says what is wrong with a list besides its scores and titles."""
    if len(set(rows.tolist())) != len(rows):
        return "an item twice"
    if not expected.eligible[rows].all():
        return "an item that may not come back"
    fewest = min(expected.k, int(expected.surely.sum()))
    if not fewest <= len(rows) <= min(expected.k, int(expected.eligible.sum())):
        return f"{len(rows)} items instead of {fewest}"
    return ""
