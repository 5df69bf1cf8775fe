"""`make bench-loadtest`: figures of `recserve loadtest` against h2load's, in the same closed loop.

Both keep the same number of calls in flight to the same server, in turns; ratios are taken within
a round. The floor with a delay is a server whose rate is known: calls in flight over the delay.
"""

import argparse
import contextlib
import json
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import h2load
import machine
import questions
import servers
from arguments import parser_of
from model import chosen
from rich.console import Console
from rich.table import Table

from recserve_client.loadtest.fleet import Fleet
from recserve_client.loadtest.plan import ClosedLoop, Endpoint, Question, Stage

_FRAMING_BYTES: Final = 5
_DELAYS_MS: Final = {"floor, 20 ms": 20.0, "floor, 25 ms": 25.0}


@dataclass(frozen=True, slots=True)
class Case:
    """A server and how many calls are kept in flight to it."""

    server: str
    concurrency: h2load.Concurrency


@dataclass(frozen=True, slots=True)
class Figures:
    """What one tool found."""

    per_s: float
    mean_ms: float


CASES: Final = (
    Case("floor, 20 ms", h2load.Concurrency(8, 2)),
    Case("floor, 20 ms", h2load.Concurrency(8, 6)),
    Case("floor, 25 ms", h2load.Concurrency(8, 16)),
    Case("recserve", h2load.Concurrency(1, 1)),
    Case("recserve", h2load.Concurrency(8, 1)),
    Case("recserve", h2load.Concurrency(8, 4)),
    Case("recserve", h2load.Concurrency(8, 16)),
)


def main() -> int:
    """Runs the benchmark from the command line; returns its exit code."""
    args = _parser().parse_args()
    servers.unwind_on_sigterm()
    console = Console(highlight=False, soft_wrap=True, width=120)
    console.print(*machine.warnings(machine.describe()), sep="\n")
    models = chosen(args)
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(servers.recserve(models, args.out / "logs"))
        asked = questions.prepare(ours.target, models, args.out, seed=1)
        targets = {ours.name: ours.target}
        for name, delay_ms in _DELAYS_MS.items():
            slow = stack.enter_context(servers.floor(asked.answer, args.out / "logs", delay_ms))
            targets[name] = slow.target
        found = {case: list(_rounds(case, targets[case.server], asked, args)) for case in CASES}
    console.print(_table(found))
    rows = [
        {"server": case.server, "in_flight": case.concurrency.in_flight, "rounds": rounds}
        for case, rounds in found.items()
    ]
    report = {"machine": machine.describe(), "rows": rows}
    file = args.out / "agreement.json"
    file.write_text(json.dumps(report, indent=1, default=vars_of) + "\n", encoding="utf-8")
    return 0


def vars_of(figures: Figures) -> dict[str, float]:
    """Spells figures for JSON."""
    return {"per_s": figures.per_s, "mean_ms": figures.mean_ms}


def _rounds(
    case: Case, target: str, asked: questions.Questions, args: argparse.Namespace
) -> Iterator[tuple[Figures, Figures]]:
    """Yields what h2load and we found, round by round."""
    question = asked.recommend
    for _ in range(args.rounds):
        theirs = h2load.measure(target, question, case.concurrency, args.seconds)
        yield Figures(theirs.per_s, theirs.mean_ms), _ours(target, question, case, args.seconds)


def _ours(target: str, question: h2load.Question, case: Case, seconds: float) -> Figures:
    host, _, port = target.rpartition(":")
    endpoint = Endpoint(
        host=host, port=int(port), connections=case.concurrency.connections, timeout_s=None
    )
    call = Question(question.path, question.request.read_bytes()[_FRAMING_BYTES:])
    pressure = ClosedLoop(concurrency=case.concurrency.in_flight)
    with Fleet(endpoint, [call]) as fleet:
        result = fleet.run(Stage(pressure=pressure, seconds=seconds, warmup_s=0.5))
    if result.errors or result.latency.mean_ms is None:
        raise h2load.LoadError(f"{target}: calls failed: {dict(result.errors)}")
    return Figures(result.ok_per_s, result.latency.mean_ms)


def _table(found: dict[Case, list[tuple[Figures, Figures]]]) -> Table:
    table = Table(box=None, header_style="bold")
    table.add_column("server")
    table.add_column("in flight", justify="right")
    for name in ("h2load /s", "ours /s", "ours / h2load", "mean ms", "ours", "ours / h2load"):
        table.add_column(name, justify="right")
    for case, rounds in found.items():
        cells: list[str] = []
        for name, digits in (("per_s", 0), ("mean_ms", 2)):
            theirs = [getattr(each, name) for each, _ in rounds]
            ours = [getattr(each, name) for _, each in rounds]
            ratios = [b / a for a, b in zip(theirs, ours, strict=True)]
            cells += [f"{statistics.median(each):,.{digits}f}" for each in (theirs, ours)]
            cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})")
        table.add_row(case.server, str(case.concurrency.in_flight), *cells)
    return table


def _parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, rounds=5, output="agreement.json")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement, about")
    return parser


if __name__ == "__main__":
    sys.exit(main())
