"""`make bench-growth`: what a larger catalogue costs, by kind of index.

Models of clustered vectors are published without training, one after another, served and measured:
throughput at 128 in flight, latency at half of that in an open loop, memory, start and disk.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import at_rate
import h2load
import machine
import questions
import servers
from printing import save, wide_console
from rich.console import Console
from rich.table import Table
from scenarios import CLOSED, FAILURES, PEAK

SCHEMA_VERSION = 1
_FEWEST_SAMPLES = 1000  # for a 99th percentile
_LONGEST_S = 30.0
_MIB = 2**20


def main() -> int:
    """Runs the benchmark from the command line; returns its exit code."""
    args = _parser().parse_args()
    servers.unwind_on_sigterm()
    console = wide_console()
    points: list[dict[str, Any]] = []
    problem = ""
    try:
        h2load.require_h2load()
        found = machine.describe()
        for note in machine.warnings(found):
            console.print(note)
        for point in _points(args):
            points.append(point)
            console.print(f"{point['items']:,} items, {point['kind']}: measured")
    except FAILURES as error:
        problem = f"bench-growth: {error}"
    if points:
        _tell(points, found, args.out / "growth.json", console)
    print(problem, end="\n" if problem else "", file=sys.stderr)
    return 1 if problem else 0


def _tell(
    points: list[dict[str, Any]], found: dict[str, Any], file: Path, console: Console
) -> None:
    """Prints and writes what has been measured."""
    console.print(_table(points))
    for point in points:
        if problem := point["open_loop"]["problem"]:
            console.print(
                f"{point['items']:,} items, {point['kind']}: latency not valid: {problem}"
            )
    report = {"schema_version": SCHEMA_VERSION, "machine": found, "points": points}
    save(report, file, console)


def _points(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Publishes, measures and removes one model after another."""
    models = args.out / "growth-models"
    for items in args.sizes:
        for kind in args.kinds:
            shutil.rmtree(models, ignore_errors=True)
            try:
                yield {"items": items, "kind": kind, **_measure(items, kind, models, args)}
            finally:
                shutil.rmtree(models, ignore_errors=True)


def _measure(items: int, kind: str, models: Path, args: argparse.Namespace) -> dict[str, Any]:
    program = Path(__file__).with_name("growth_artifact.py")
    command = [sys.executable, str(program), "--items", str(items), "--kind", kind]
    command += ["--models", str(models)]
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    version = Path(ran.stdout.strip().splitlines()[-1])
    disk_bytes = sum(file.stat().st_size for file in version.rglob("*") if file.is_file())
    manifest = json.loads((version / "manifest.json").read_text(encoding="utf-8"))
    with servers.recserve(models, args.out / "logs") as server:
        asked = questions.prepare(server.target, models, args.out / "growth", args.seed)
        run = h2load.measure(server.target, asked.recommend, CLOSED[PEAK], args.seconds)
        questions.check_recommend(server.target, asked)
        report = _half_load(server.target, asked, run.per_s / 2, args)
        questions.check_recommend(server.target, asked)
        memory = server.memory()
    return {
        "recall_at_10": manifest["index"]["recall_at_10"],
        "closed_loop": asdict(run),
        "open_loop": report,
        "memory": asdict(memory),
        "start_s": server.start_s,
        "disk_bytes": disk_bytes,
        "disk_bytes_per_item": disk_bytes / items,
    }


def _half_load(
    target: str, asked: questions.Questions, rate: float, args: argparse.Namespace
) -> dict[str, Any]:
    """Measures latency at a rate, for as long as a 99th percentile takes, 30 s at the most."""
    seconds = min(_LONGEST_S, max(args.seconds, _FEWEST_SAMPLES / rate))
    load = at_rate.Load(rate_per_s=rate, seconds=seconds, seed=args.seed)
    return at_rate.measure(target, asked.recommend, load)


def _table(points: list[dict[str, Any]]) -> Table:
    table = Table(title="one model per line; latency at half of the throughput beside it")
    table.add_column("items", justify="right")
    table.add_column("index")
    for name in ("recall@10", "req/s", "p50 ms", "p99 ms", "RSS MiB", "start s", "disk MiB"):
        table.add_column(name, justify="right")
    table.add_column("bytes/item", justify="right")
    for point in points:
        latency_ms = point["open_loop"]["latency_ms"]
        table.add_row(
            f"{point['items']:,}",
            point["kind"],
            f"{point['recall_at_10']:.4f}",
            f"{point['closed_loop']['per_s']:,.0f}",
            *(
                "-" if latency_ms[each] is None else f"{latency_ms[each]:.1f}"
                for each in ("p50", "p99")
            ),
            f"{point['memory']['resident'] / _MIB:,.0f}",
            f"{point['start_s']:.1f}",
            f"{point['disk_bytes'] / _MIB:,.1f}",
            f"{point['disk_bytes_per_item']:,.0f}",
        )
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    sizes, kinds = [1_000, 10_000, 100_000, 1_000_000], ["exact", "scann"]
    add("--sizes", type=int, nargs="+", default=sizes, metavar="ITEMS")
    add("--kinds", nargs="+", default=kinds, choices=kinds)
    add("--seconds", type=float, default=5.0, help="of each measurement, about")
    add("--seed", type=int, default=1, help="draws arrivals")
    add("--out", type=Path, default=Path("build/bench"), help="folder of growth.json and logs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
