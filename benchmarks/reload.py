"""`make bench-reload`: what callers feel of a new version under constant load.

Steady windows and windows in which a version is published take turns. A window's calls are sent at
times drawn beforehand (an open loop), so a stall cannot hide.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import at_rate
import machine
import questions
import servers
from arguments import parser_of
from h2load import require_h2load
from model import chosen
from printing import save, wide_console
from rich.console import Console
from rich.table import Table
from scenarios import FAILURES

from recserve_client import RecommenderClient

_LONGEST_SWAP_S = 120.0


def main() -> int:
    """Runs the benchmark from the command line; returns its exit code."""
    args = _parser().parse_args()
    servers.unwind_on_sigterm()
    console = wide_console()
    try:
        require_h2load()
        found = machine.describe()
        notes = machine.warnings(found)
        models = chosen(args)
        with tempfile.TemporaryDirectory() as folder:
            windows = _measure(args, _copied(models, Path(folder)), console)
    except FAILURES as error:
        print(f"reload: {error}", file=sys.stderr)
        return 1
    console.print(*notes, _table(windows), sep="\n")
    report = {"machine": found, "rate_per_s": args.rate, "windows": windows}
    save(report, args.out / "reload.json", console)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, rounds=5, output="reload.json")
    parser.add_argument("--seed", type=int, default=1, help="draws users and arrivals")
    parser.add_argument("--rate", type=float, default=500.0, help="calls per second")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a window")
    return parser


def _copied(models: Path, folder: Path) -> Path:
    """Copies the newest version of the only model, for others to be published beside it."""
    newest = max(models.glob("*/*/manifest.json"), key=lambda path: int(path.parent.name)).parent
    _publish(newest, folder / newest.parent.name / "1")
    return folder


def _publish(version: Path, target: Path) -> None:
    """Publishes a version once more under the number that `target` has, by a rename."""
    scratch = target.parent / f".{target.name}"
    shutil.copytree(version, scratch)
    manifest = json.loads((scratch / "manifest.json").read_text())
    manifest["model_version"] = target.name
    (scratch / "manifest.json").write_text(json.dumps(manifest))
    scratch.rename(target)


def _measure(args: argparse.Namespace, models: Path, console: Console) -> list[dict[str, Any]]:
    windows: list[dict[str, Any]] = []
    flags = ("--poll-interval", "0.5")
    with servers.recserve(models, args.out / "logs", flags) as server:
        asked = questions.prepare(server.target, models, args.out, args.seed)
        [first] = models.glob("*/1")
        for round_ in range(1, args.rounds + 1):
            console.print(f"round {round_} of {args.rounds}")
            windows.append({"round": round_, "kind": "steady", **_window(args, server, asked)})
            _publish(first, first.parent / str(round_ + 1))
            windows.append({"round": round_, "kind": "reload", **_window(args, server, asked)})
            _wait_for(server.target, round_ + 1)
    return windows


def _window(
    args: argparse.Namespace, server: servers.Server, asked: questions.Questions
) -> dict[str, Any]:
    load = at_rate.Load(rate_per_s=args.rate, seconds=args.seconds, seed=args.seed)
    return at_rate.measure(server.target, asked.recommend, load)


def _wait_for(target: str, version: int) -> None:
    """Makes sure that the swap was within the window, or at least is over."""
    end_s = time.monotonic() + _LONGEST_SWAP_S
    with RecommenderClient(target) as client:
        while client.get_model().version != version:
            if time.monotonic() > end_s:
                raise servers.ServerError(f"version {version} was not taken")
            time.sleep(0.1)


def _table(windows: list[dict[str, Any]]) -> Table:
    table = Table("window", "calls", "not OK", "p50 ms", "p99 ms", "max ms", "p99 / steady")
    steady = {each["round"]: each for each in windows if each["kind"] == "steady"}
    for kind in ("steady", "reload"):
        ours = [each for each in windows if each["kind"] == kind]
        ratios = [
            each["latency_ms"]["p99"] / steady[each["round"]]["latency_ms"]["p99"] for each in ours
        ]
        table.add_row(
            kind,
            str(sum(each["sent"] for each in ours)),
            str(sum(each["sent"] - each["accepted"] for each in ours)),
            *(_spread([each["latency_ms"][name] for each in ours]) for name in ("p50", "p99")),
            _spread([each["latency_ms"]["max"] for each in ours]),
            _spread(ratios),
        )
    return table


def _spread(numbers: list[float]) -> str:
    return f"{statistics.median(numbers):.2f} ({min(numbers):.2f}..{max(numbers):.2f})"


if __name__ == "__main__":
    sys.exit(main())
