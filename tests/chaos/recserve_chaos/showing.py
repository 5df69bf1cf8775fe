"""Prints what happens as it does, and a table at the end."""

import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from .report import GROWTH_HEADS, HEADS, Report

_CONSOLE = Console(highlight=False)
_START_S = time.monotonic()


def say(text: str) -> None:
    """Prints a line with the time since the start."""
    minutes, seconds = divmod(int(time.monotonic() - _START_S), 60)
    style = "red" if "BROKEN" in text else ""
    # A log has no width; a terminal folds by itself.
    _CONSOLE.print(f"{minutes:02d}:{seconds:02d} {text}", style=style, soft_wrap=True, markup=False)


def show(report: Report) -> None:
    """Prints the tables and the verdict."""
    _print(HEADS, report.table())
    if report.growths:
        _print(GROWTH_HEADS, report.growth_table())
    for name, why in report.skipped.items():
        say(f"skipped {name}: {why}")
    for example in report.examples:
        say(f"not as it must be: {example}")
    if report.problem:
        say(f"BROKEN: {report.problem}")
    say("good" if report.is_good else "BROKEN: something that must be 0 or flat is not")


def _print(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if _CONSOLE.is_terminal:
        table = Table(*heads)
        for cells in rows:
            table.add_row(*cells)
        _CONSOLE.print(table)
        return
    for cells in (heads, *rows):
        _CONSOLE.print(" | ".join(cells), soft_wrap=True, markup=False)
