"""Tells a person what a run is doing: a bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.table import Table


class Progress:
    """Writes to standard error, so that standard output stays for results."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)

    def note(self, line: str) -> None:
        """Says one thing that is being done, or was found."""
        self._console.print(line, markup=False)

    def table(self, table: Table) -> None:
        """Shows a table."""
        self._console.print(table)

    @contextmanager
    def epochs(self, total: int) -> Iterator["EpochProgress"]:
        """Shows a bar of at most `total` epochs for as long as the context lasts."""
        if not self._console.is_terminal:
            yield EpochProgress(self, None, total)
            return
        columns = (
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
        )
        with Bars(*columns, console=self._console) as bars:
            yield EpochProgress(self, bars, total)


class EpochProgress:
    """The bar, or its lines, while epochs go by."""

    def __init__(self, progress: Progress, bars: Bars | None, total: int) -> None:
        self._progress, self._bars, self._total = progress, bars, total
        self._task = bars.add_task("", total=total) if bars else None
        self._epoch = 0
        self._epoch_start_s = time.perf_counter()

    def advance(self, summary: str) -> None:
        """Counts one finished epoch and shows its summary."""
        self._epoch += 1
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, advance=1, description=summary)
            return
        seconds = time.perf_counter() - self._epoch_start_s
        self._epoch_start_s = time.perf_counter()
        self._progress.note(f"epoch {self._epoch}/{self._total}  {summary}  {seconds:.1f} s")
