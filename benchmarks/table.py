"""Turns measurements into rows: medians, ratios per round, and whether targets are reached."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from rich.table import Table
from scenarios import BATCH, OVERLOAD, PEAK, Measurement

_80, _200 = f"{OVERLOAD}: open loop at 80%", f"{OVERLOAD}: open loop at 200%"
_OURS, _FLOOR = "recserve", "floor"

Value = Callable[[Measurement], float]


@dataclass(frozen=True, slots=True)
class Side:
    """Which measurements to take, and what of them."""

    scenario: str
    server: str
    value: Value


@dataclass(frozen=True, slots=True)
class Comparison:
    """One row: two sides, how they are compared, and what the result has to be."""

    title: str
    ours: Side
    other: Side
    compare: Callable[[float, float], float]
    """(ours, other) -> the result of one round."""
    target: float
    unit: str = ""
    """Of the result."""
    at_least: bool = True
    """Whether the target is a lower bound; else it is an upper one."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row's numbers; medians over rounds, None where nothing valid was measured."""

    title: str
    other: float | None
    ours: float | None
    results: list[float]
    """Of each valid round."""
    result: float | None
    target: str
    reached: bool | None
    notes: list[str]
    """Why rounds are left out."""


def _per_s(found: Measurement) -> float:
    return float(found["per_s"])


def _p99(found: Measurement) -> float:
    return float(found["latency_ms"]["p99"])


def _ratio(ours: float, other: float) -> float:
    return ours / other


def _throughput(title: str, scenario: str, target: float, other: str = _FLOOR) -> Comparison:
    sides = Side(scenario, _OURS, _per_s), Side(scenario, other, _per_s)
    return Comparison(title, *sides, _ratio, target, "x")


_BATCHES = Side(BATCH, _OURS, lambda found: float(found["users_per_s"]))

COMPARISONS: Final = (
    _throughput("128 in flight, req/s", PEAK, 0.80),
    _throughput("8 in flight, req/s", "in-flight-8", 0.65),
    Comparison(
        "1 in flight, mean latency, ms",
        Side("in-flight-1", _OURS, lambda found: found["mean_ms"]),
        Side("in-flight-1", _FLOOR, lambda found: found["mean_ms"]),
        lambda ours, other: ours - other,
        0.40,
        " ms",
        at_least=False,
    ),
    Comparison(
        "batches of 256, users/s",
        _BATCHES,
        _BATCHES,
        lambda ours, other: ours,
        60_000,
        " users/s",
    ),
    Comparison(
        "open loop at 200%, goodput / peak, req/s",
        Side(_200, _OURS, lambda found: found["goodput_per_s"]),
        Side(_200, _OURS, lambda found: found["peak_per_s"]),
        _ratio,
        0.90,
        "x",
    ),
    Comparison(
        "open loop, p99 at 200% / p99 at 80%, ms",
        Side(_200, _OURS, _p99),
        Side(_80, _OURS, _p99),
        _ratio,
        3.0,
        "x",
        at_least=False,
    ),
    _throughput("128 in flight, req/s, against pytriton", PEAK, 3.0, "pytriton"),
    _throughput("128 in flight, req/s, against ray_serve", PEAK, 15.0, "ray_serve"),
)


def rows(measurements: Iterable[Measurement]) -> list[Row]:
    """Compares what has been measured; what has not is left out."""
    by_key = {(each["scenario"], each["server"], each["round"]): each for each in measurements}
    rounds = sorted({round_ for *_, round_ in by_key})
    found = []
    for comparison in COMPARISONS:
        pairs = [
            (by_key[mine], by_key[theirs])
            for round_ in rounds
            for mine in [(comparison.ours.scenario, comparison.ours.server, round_)]
            for theirs in [(comparison.other.scenario, comparison.other.server, round_)]
            if mine in by_key and theirs in by_key
        ]
        if pairs:
            found.append(_row(comparison, pairs))
    return found


def _row(comparison: Comparison, pairs: list[tuple[Measurement, Measurement]]) -> Row:
    notes = [
        f"{comparison.title}: round {each['round']} is left out of it: {each['problem']}"
        for pair in pairs
        for each in pair
        if each.get("problem")
    ]
    valid = [pair for pair in pairs if not any(each.get("problem") for each in pair)]
    ours = [comparison.ours.value(mine) for mine, _ in valid]
    other = [comparison.other.value(theirs) for _, theirs in valid]
    results = [comparison.compare(*pair) for pair in zip(ours, other, strict=True)]
    sign, bound = ">=" if comparison.at_least else "<=", comparison.target
    result = median(results) if results else None
    return Row(
        title=comparison.title,
        # Without another side there is nothing to show for it.
        other=median(other) if other and comparison.other is not comparison.ours else None,
        ours=median(ours) if ours else None,
        results=results,
        result=result,
        target=f"{sign} {bound:,.{2 if bound < 100 else 0}f}{comparison.unit}",
        reached=None if result is None else (result >= bound) == comparison.at_least,
        notes=list(dict.fromkeys(notes)),
    )


def rich_table(found: Iterable[Row]) -> Table:
    """Returns the rows for a terminal."""
    table = Table(title="recserve against the floor: medians of the rounds")
    for column in ("scenario", "floor / other", "ours", "ratio (min..max)", "target", "reached"):
        table.add_column(column, justify="left" if column == "scenario" else "right")
    for row in found:
        spread = (
            f"{_text(row.result)} ({_text(min(row.results))}..{_text(max(row.results))})"
            if row.results
            else "-"
        )
        reached = {True: "yes", False: "no", None: "not valid"}[row.reached]
        table.add_row(row.title, _text(row.other), _text(row.ours), spread, row.target, reached)
    return table


def as_json(found: Iterable[Row]) -> list[dict[str, Any]]:
    """Returns the rows as JSON has them."""
    return [asdict(row) for row in found]


def _text(number: float | None) -> str:
    if number is None:
        return "-"
    return f"{number:,.{0 if abs(number) >= 100 else 2}f}"
