"""`make bench`: recserve against the floor under it, and against rivals, on this machine.

Rounds are interleaved (floor, recserve, floor, recserve ...), so that a machine that becomes slower
meanwhile makes both slower; ratios are taken within a round.
"""

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

import machine
import options
import questions
import servers
import table
from arguments import parser_of
from h2load import require_h2load
from model import chosen
from printing import save, wide_console
from rich.console import Console
from scenarios import (
    BATCH,
    CLOSED,
    FAILURES,
    OPTIONS,
    OVERLOAD,
    PEAK,
    RIVALS,
    SCENARIOS,
    Session,
    Settings,
)

SCHEMA_VERSION = 1
_PEAK = "peak: recserve's throughput at 128 in flight in the same round; 80% and 200% are of that"


def main() -> int:
    """Runs the benchmark from the command line; returns its exit code."""
    args = _parser().parse_args()
    servers.unwind_on_sigterm()
    console = wide_console()
    try:
        require_h2load()
        found = machine.describe()
        notes = machine.warnings(found)
        for note in notes:
            console.print(note)
        models = chosen(args)
        session = _measure(args, models, console)
    except FAILURES as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    rows = table.rows(session.measurements)
    if any(each["scenario"].startswith(OVERLOAD) for each in session.measurements):
        notes.append(_PEAK)
    notes += [note for row in rows for note in row.notes]
    notes += [_not_built(name) for name in RIVALS if args.rivals and name not in _built()]
    console.print(table.rich_table(rows), *notes, sep="\n")
    if session.options:
        console.print(options.rich_table(session.options))
    report = {
        "schema_version": SCHEMA_VERSION,
        "machine": found,
        "arguments": vars(args) | {"models": str(models), "out": str(args.out)},
        "notes": notes,
        "rows": table.as_json(rows),
        "measurements": session.measurements,
        "options": session.options,
    }
    save(report, args.out / "run.json", console)
    return 0


def _measure(args: argparse.Namespace, models: Path, console: Console) -> Session:
    """Runs all rounds."""
    logs = args.out / "logs"
    with contextlib.ExitStack() as stack:
        events = stack.enter_context(tempfile.TemporaryDirectory())
        keeping = ("--events", f"{events}/events.sqlite")
        ours = stack.enter_context(servers.recserve(models, logs, keeping))
        asked = questions.prepare(ours.target, models, args.out, args.seed)
        bottom = stack.enter_context(servers.floor(asked.answer, logs))
        settings = Settings(seconds=args.seconds, seed=args.seed, deadline_ms=args.deadline_ms)
        session = Session(asked, settings)
        wanted = set(args.only or SCENARIOS)
        if OVERLOAD in wanted or args.rivals:
            wanted.add(PEAK)  # what they are held against
        costs = []
        if OPTIONS in wanted:
            costs = options.prepare(asked, ours, args.out)
        for round_ in range(1, args.rounds + 1):
            console.print(f"round {round_} of {args.rounds}")
            for scenario in (name for name in CLOSED if name in wanted):
                session.closed(round_, scenario, bottom)
                session.closed(round_, scenario, ours)
            if BATCH in wanted:
                session.batch(round_, ours)
            if OVERLOAD in wanted:
                session.overload(round_, ours)
            if costs:
                session.options.append(options.measure(costs, ours, args.seconds))
            for name in _built() if args.rivals else ():
                session.rival(round_, name, args.out)
    return session


def _built() -> list[str]:
    return [name for name in RIVALS if servers.rival_python(name).exists()]


def _not_built(name: str) -> str:
    return f"{name} is not built and was left out: make -C benchmarks/rivals {name}"


def _parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, rounds=5, output="run.json")
    add = parser.add_argument
    add("--seconds", type=float, default=3.0, help="of each measurement, about")
    add("--only", action="append", choices=SCENARIOS, help="measure this; may be repeated")
    add("--rivals", action="store_true", help="also measure the rivals that are built")
    add("--seed", type=int, default=1, help="draws users and arrivals")
    add("--deadline-ms", type=int, help="deadline of the open loop's requests; none by default")
    return parser


if __name__ == "__main__":
    sys.exit(main())
