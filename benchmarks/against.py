"""`make bench-against BASE=revision`: this tree's server beside an earlier one, on this machine.

Two processes of the same code differ by up to a tenth for as long as they live, by where things
happen to lie in memory. So each round has new processes of both; within it they take turns.
"""

import argparse
import contextlib
import io
import itertools
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h2load
import machine
import questions
import servers
from arguments import parser_of
from model import chosen
from printing import save, wide_console
from rich.console import Console
from rich.table import Table
from scenarios import CLOSED, FAILURES

ROOT = Path(__file__).parents[1]
_TURNS = 4
_SIDES = ("base", "now")
_FLAGS = ("--admin-address", "")
"""Both run at a time, and by default each would want the same port for metrics."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one server showed in one run."""

    per_s: float
    cpu_us: float
    """Processor time per call, of all processes of the server."""


def main() -> int:
    """Runs the benchmark from the command line; returns its exit code."""
    args = _parser().parse_args()
    servers.unwind_on_sigterm()
    console = wide_console()
    try:
        h2load.require_h2load()
        found = machine.describe()
        notes = machine.warnings(found)
        models = chosen(args)
        with tempfile.TemporaryDirectory() as folder:
            extract(args.base, Path(folder))
            rounds = _measure(args, models, {"base": Path(folder), "now": ROOT}, console)
    except FAILURES as error:
        print(f"against: {error}", file=sys.stderr)
        return 1
    console.print(*notes, table_of(rounds), sep="\n")
    report = {"machine": found, "base": args.base, "rounds": rounds}
    save(report, args.out / "against.json", console)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, rounds=7, output="against.json")
    parser.add_argument("--base", required=True, help="git revision to compare with")
    parser.add_argument("--seconds", type=float, default=1.5, help="length of a turn, about")
    parser.add_argument("--seed", type=int, default=1, help="draws users")
    return parser


def extract(revision: str, folder: Path) -> None:
    """Writes the server and the stubs of a revision into `folder`."""
    command = ["git", "-C", str(ROOT), "archive", revision, "server/src", "client/src"]
    archived = subprocess.run(command, capture_output=True, check=False)
    if archived.returncode:
        raise RuntimeError(f"{revision}: {archived.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
        archive.extractall(folder, filter="data")


def _measure(
    args: argparse.Namespace, models: Path, trees: Mapping[str, Path], console: Console
) -> list[dict[str, Any]]:
    rounds: list[dict[str, Any]] = []
    for round_ in range(args.rounds):
        console.print(f"round {round_ + 1} of {args.rounds}")
        order = _SIDES if round_ % 2 else _SIDES[::-1]
        with contextlib.ExitStack() as stack:
            started = {
                side: stack.enter_context(
                    servers.recserve(models, args.out / "logs" / side, _FLAGS, source=trees[side])
                )
                for side in order
            }
            asked = questions.prepare(started["now"].target, models, args.out, args.seed)
            rounds.append({name: _compared(args.seconds, started, asked, name) for name in CLOSED})
    return rounds


def _compared(
    seconds: float,
    started: Mapping[str, servers.Server],
    asked: questions.Questions,
    scenario: str,
) -> dict[str, dict[str, float]]:
    """Returns the medians of what both servers showed in turns."""
    concurrency = CLOSED[scenario]
    for server in started.values():
        questions.check_recommend(server.target, asked)
        pilot = h2load.measure(server.target, asked.recommend, concurrency, seconds)
    requests = max(concurrency.in_flight, round(pilot.per_s * seconds))
    turns: dict[str, list[Turn]] = defaultdict(list)
    for turn in range(_TURNS):
        for side in _SIDES if turn % 2 else _SIDES[::-1]:
            server = started[side]
            before_s = server.cpu_s()
            run = h2load.run(server.target, asked.recommend, concurrency, requests)
            cpu_us = (server.cpu_s() - before_s) / requests * 1e6
            h2load.check(server.target, run, pilot.data_bytes // pilot.requests)
            turns[side].append(Turn(run.per_s, cpu_us))
    return {
        side: {
            "per_s": statistics.median(each.per_s for each in turns[side]),
            "cpu_us": statistics.median(each.cpu_us for each in turns[side]),
        }
        for side in _SIDES
    }


def table_of(rounds: list[dict[str, Any]]) -> Table:
    """Returns the medians of both sides, and of the ratios within the rounds."""
    table = Table("scenario", "", "base", "now", "now / base, median (min..max)")
    for scenario, (name, unit) in itertools.product(
        CLOSED, (("per_s", "req/s"), ("cpu_us", "CPU us a call"))
    ):
        base, now = ([each[scenario][side][name] for each in rounds] for side in _SIDES)
        ratios = [after / before for before, after in zip(base, now, strict=True)]
        table.add_row(
            scenario,
            unit,
            *(f"{statistics.median(each):,.0f}" for each in (base, now)),
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
