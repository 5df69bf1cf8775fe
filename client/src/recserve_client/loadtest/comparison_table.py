"""A comparison on the terminal."""

from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .compare import Comparison, Difference
from .tables import milliseconds, per_second, percent, print_whole

_COLOURS: Final = {"better": "green", "worse": "red", "same": "", "unknown": "yellow"}
_SUMMARIES: Final = {
    "better": "The second run is better.",
    "worse": "The second run is worse.",
    "same": "No difference is shown.",
    "unknown": "There is too little to tell: each stage needs 5 seconds or more.",
}


def print_comparison(console: Console, comparison: Comparison) -> None:
    """Prints every difference with its interval, then the verdict."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("load", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name in ("before", "after", "change", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for each in comparison.differences:
        colour = _COLOURS[each.verdict]
        verdict = f"[{colour}]{each.verdict}[/]" if colour else each.verdict
        table.add_row(
            escape(each.stage),
            each.name,
            _value(each.name, each.before),
            _value(each.name, each.after),
            _change(each, each.change),
            _interval(each),
            verdict,
        )
    print_whole(console, table)
    for note in comparison.notes:
        console.print(f"[yellow]note:[/] {escape(note)}")
    console.print(_SUMMARIES[comparison.verdict])


def _value(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if name == "errors":
        return percent(value)
    return per_second(value) + "/s" if name == "rate" else milliseconds(value) + " ms"


def _change(difference: Difference, change: float | None) -> str:
    if change is None:
        return "-"
    unit = " points" if difference.name == "errors" else " %"
    return f"{100 * change:+.1f}{unit}"


def _interval(difference: Difference) -> str:
    if difference.low is None or difference.high is None:
        return "-"
    return f"[{100 * difference.low:+.1f}, {100 * difference.high:+.1f}]"
