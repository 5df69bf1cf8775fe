"""Runs `recserve-train benchmark` for every family and seed, and prints one table of all.

Each run writes build/quality/FAMILY-SPLIT-SEED.json. What is there already is not run again, so an
interrupted run goes on where it was; remove the folder after a change of the code.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
TEN = tuple(range(10))
METRIC = "ndcg@10"


class Runs(NamedTuple):
    """One family under one protocol, on several splits."""

    family: str
    protocol: str
    seeds: tuple[int, ...]
    baselines: str
    """What it is held against, as `--baselines` takes it."""


PLAN = (
    Runs("history", "item", (42, *TEN), "popularity,ease"),
    Runs("collaborative", "item", (42, *TEN), "popularity,ease"),
    Runs("textbook", "item", (42, *TEN), "popularity,ease"),
    Runs("ranking", "item", (42, *TEN), "popularity,ease"),
    Runs("hybrid", "item", (42, 0, 1), "popularity,ease"),
    Runs("content", "item", (42,), "popularity,ease"),
    Runs("popularity", "item", (42,), "popularity,ease,ials,item-knn,sar"),
    Runs("history", "user", (42,), "auto"),
    Runs("history", "time", (42,), "auto"),
    Runs("hybrid", "time", (42,), "popularity,ease"),
    Runs("collaborative", "time", (42,), "popularity,ease"),
    Runs("ranking", "time", (42,), "popularity,ease"),
    Runs("history", "new-users", (42,), "popularity,ease"),
    Runs("content", "new-users", (42,), "popularity"),
    Runs("hybrid", "new-users", (42,), "auto"),
    Runs("collaborative", "new-users", (42,), "popularity"),
    Runs("history", "new-items", (42,), "auto"),
    Runs("content", "new-items", (42,), "auto"),
    Runs("hybrid", "new-items", (42,), "auto"),
    Runs("content", "new-both", (42,), "auto"),
    Runs("hybrid", "new-both", (42,), "auto"),
)


@dataclass(frozen=True, slots=True)
class Result:
    """One run, read back."""

    seed: int
    record: dict[str, Any]

    def tasks(self) -> list[str]:
        """Names of what was asked."""
        return [task["name"] for task in self.record["tasks"]]

    def value(self, task: str, scorer: str, metric: str = METRIC) -> float:
        """A metric's mean over users, NaN if it was not measured."""
        found = self._task(task)["scorers"].get(scorer)
        return float(found["metrics"][metric]["mean"]) if found else float("nan")

    def least_difference(self, task: str, baseline: str) -> float:
        """Lower end of the paired 95 % interval of model minus baseline."""
        found = self._task(task)["differences"].get(baseline)
        return float(found[METRIC]["low"]) if found else float("nan")

    def _task(self, name: str) -> dict[str, Any]:
        return next(task for task in self.record["tasks"] if task["name"] == name)


def main() -> int:
    """Runs what has not been run, then prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, required=True, help="GroupLens' ml-100k.zip")
    parser.add_argument("--out", type=Path, default=ROOT / "build/quality")
    parser.add_argument("--only", nargs="*", default=[], help="families to run")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    failed = 0
    for runs in PLAN:
        if arguments.only and runs.family not in arguments.only:
            continue
        for seed in runs.seeds:
            failed += not _run(runs, seed, arguments)
    print("\n".join(_table(arguments.out)))
    return min(failed, 1)


def _run(runs: Runs, seed: int, arguments: argparse.Namespace) -> bool:
    file = arguments.out / f"{runs.family}-{runs.protocol}-{seed}.json"
    if file.exists():
        return True
    command = [sys.executable, "-m", "recserve_trainer", "benchmark"]
    command += ["--archive", str(arguments.archive), "--split", runs.protocol]
    command += ["--seed", str(seed), "--model", runs.family, "--baselines", runs.baselines]
    start_s = time.monotonic()
    ran = subprocess.run([*command, "--json", str(file)], capture_output=True, text=True)
    seconds = time.monotonic() - start_s
    outcome = "done" if ran.returncode == 0 else ran.stderr.strip().rpartition("\n")[2]
    print(f"{file.stem}: {outcome}, {seconds:.0f} s", file=sys.stderr, flush=True)
    return ran.returncode == 0


def _table(folder: Path) -> Iterator[str]:
    yield (
        "| split, task | model | seeds | nDCG@10, seed 42 | mean | least | recall@10, seed 42 | "
        "popularity | EASE | lowest end of the 95 % intervals of model - EASE |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for runs in PLAN:
        results = [
            Result(seed, json.loads(file.read_text()))
            for seed in runs.seeds
            if (file := folder / f"{runs.family}-{runs.protocol}-{seed}.json").exists()
        ]
        if results:
            yield from (_row(runs, task, results) for task in results[0].tasks())


def _row(runs: Runs, task: str, results: list[Result]) -> str:
    values = [result.value(task, "model") for result in results]
    first = results[0]
    least = min(result.least_difference(task, "ease") for result in results)
    cells = (
        f"{runs.protocol}, {task}" if task != runs.protocol else task,
        runs.family,
        str(len(results)),
        *(
            f"{value:.4f}"
            for value in (
                values[0],
                mean(values),
                min(values),
                first.value(task, "model", "recall@10"),
                mean(result.value(task, "popularity") for result in results),
                mean(result.value(task, "ease") for result in results),
            )
        ),
        f"{least:+.4f}",
    )
    return "| " + " | ".join(cells).replace("+nan", "").replace("nan", "") + " |"


if __name__ == "__main__":
    sys.exit(main())
