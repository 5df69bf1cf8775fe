"""A run on the terminal, when it is over."""

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from .result import Condition, Run, Search, StageResult

_UNKNOWN: Final = "-"
_WIDEST: Final = 1000


def milliseconds(value: float | None) -> str:
    """Spells a time with three digits that count."""
    if value is None:
        return _UNKNOWN
    # The limit is that of rounding: 99.96 must not become "100.".
    return f"{value:.0f}" if value >= 99.95 else f"{value:#.3g}"


def per_second(value: float | None) -> str:
    """Spells a rate."""
    if value is None:
        return _UNKNOWN
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def percent(share: float) -> str:
    """Spells a share; the smallest that is not none does not look like none."""
    if share and share < 0.0001:
        return "<0.01 %"
    return f"{100 * share:.3g} %"


def print_whole(console: Console, table: Table) -> None:
    """Prints a table in its full width: where a terminal is narrower, no digits are lost."""
    options = console.options.update(max_width=_WIDEST)
    console.width = max(console.width, console.measure(table, options=options).maximum)
    console.print(table)


def print_run(console: Console, run: Run) -> None:
    """Prints stages, errors, search, conditions and warnings."""
    print_whole(console, _stages(run.stages))
    for result in run.stages:
        if result.errors:
            told = ", ".join(f"{name} {count:,}" for name, count in sorted(result.errors.items()))
            console.print(escape(f"errors at {result.label}: {told}"))
    if run.search is not None:
        console.print(_search(run.search))
    for condition in run.conditions:
        console.print(_condition(condition))
    for told in (*dict.fromkeys(run.warnings), *_doubts(run.stages)):
        console.print(f"[yellow]note:[/] {escape(told)}")


def _doubts(stages: Sequence[StageResult]) -> list[str]:
    """Returns what is doubtful, each kind once with the stages that it is about."""
    kinds: dict[str, dict[str, str]] = {}
    for each in stages:
        for told in each.warnings:
            kinds.setdefault(told.partition(":")[0], {})[each.label] = told
    doubts = []
    for told_of in kinds.values():
        labels = list(told_of)
        # Where the figures differ, the latest stage stands for the others.
        told = told_of[labels[-1]]
        if len(set(told_of.values())) > 1:
            told += f" (and the like at {', '.join(labels[:-1])})"
            labels = labels[-1:]
        doubts.append(f"{', '.join(labels)}: {told}")
    return doubts


def _stages(stages: Sequence[StageResult]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("load", no_wrap=True)
    for name in ("sent", "OK/s", "errors", "p50 ms", "p90", "p99", "p99.9", "max"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("settled", no_wrap=True)
    if any(each.holds is not None for each in stages):
        table.add_column("objective", no_wrap=True)
    for each in stages:
        latency = each.latency
        cells = [
            escape(each.label),
            f"{each.started:,}",
            per_second(each.ok_per_s),
            percent(each.error_share),
            *map(
                milliseconds,
                (latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.p999_ms, latency.max_ms),
            ),
            {True: "yes", False: "no", None: _UNKNOWN}[each.stable],
        ]
        if each.holds is not None:
            cells.append("kept" if each.holds else "missed")
        table.add_row(*cells)
    return table


def _search(found: Search) -> str:
    objective = escape(found.objective)
    if found.rate_per_s is None:
        return (
            f"[red]no rate keeps {objective}[/]; {per_second(found.refused_rate_per_s)}/s does not"
        )
    held = f"[green]{per_second(found.rate_per_s)}/s[/] keeps {objective}"
    if found.refused_rate_per_s is None:
        return f"{held}; nothing higher was tried"
    return f"{held}; {per_second(found.refused_rate_per_s)}/s does not"


def _condition(condition: Condition) -> str:
    outcome = "[red]fails[/]" if condition.failed else "[green]passes[/]"
    return f"{outcome}: --fail-if {escape(repr(condition.text))}, {escape(condition.seen)}"
