"""Rows that cannot be used: counted by reason, told with their place, skipped or fatal."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.errors import DatasetError
from recserve_trainer.progress import Progress

TOLD: Final = 10
"""Bad rows that are told one by one; the others are counted."""
Places: TypeAlias = Callable[[Sequence[int]], list[str]]
"""Numbers of records of one file, ascending -> where a person finds each, e.g. `items.csv:17`."""


class BadRows:
    """Gathers what is wrong while tables are read."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._found: dict[tuple[str, str], list[tuple[int, str]]] = {}
        self._places: dict[str, Places] = {}

    def __len__(self) -> int:
        return self._counts.total()

    def open(self, file: str, places: Places) -> None:
        """Says how records of a file are found again; files are told in the order of opening."""
        self._places[file] = places

    def add(
        self, file: str, reason: str, records: NDArray[np.int64], seen: Sequence[object]
    ) -> None:
        """Counts bad rows of one file, in ascending order.

        Args:
            file: an opened file.
            reason: what is wrong with each.
            records: their numbers in the file.
            seen: what was there instead, of the first `TOLD` rows at least; nothing if there is
                nothing to show.
        """
        if not len(records):
            return
        self._counts[file, reason] += len(records)
        found = self._found.setdefault((file, reason), [])
        for place, record in enumerate(records[: TOLD - len(found)].tolist()):
            value = seen[place] if place < len(seen) else None
            found.append((record, "" if value is None else _short(str(value))))

    def settle(self, mode: str, progress: Progress) -> None:
        """Tells what was gathered.

        Raises:
            DatasetError: there are bad rows and `mode` is not `skip`.
        """
        if not self._counts:
            return
        lines = self._lines()
        for line in lines:
            progress.note(f"bad row: {line}")
        if len(self) > len(lines):
            progress.note(f"and {len(self) - len(lines):,} more bad rows")
        counts = ", ".join(
            f"{count:,} of {file}: {reason}" for (file, reason), count in self._counts.items()
        )
        if mode != "skip":
            rows = "1 bad row" if len(self) == 1 else f"{len(self):,} bad rows"
            raise DatasetError(
                f"{rows} ({counts}), the first at {lines[0]}; correct them, or leave them out with "
                "--bad-rows skip"
            )
        progress.note(f"bad rows skipped: {counts}")

    def _lines(self) -> list[str]:
        """Describes the first rows, in the order of the files."""
        lines: list[str] = []
        for file, places in self._places.items():
            rows = sorted(
                (record, reason, value)
                for (found_in, reason), found in self._found.items()
                if found_in == file
                for record, value in found
            )[: TOLD - len(lines)]
            if rows:
                places_of = places([record for record, _, _ in rows])
                lines += [
                    f"{place}: {reason}" + (f": {value!r}" if value else "")
                    for place, (_, reason, value) in zip(places_of, rows, strict=True)
                ]
        return lines


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
