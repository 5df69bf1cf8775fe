"""Plots build/bench/growth.json; the only program here that needs matplotlib."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

_PANELS: tuple[tuple[str, Callable[[dict[str, Any]], float | None]], ...] = (
    ("req/s at 128 in flight", lambda point: point["closed_loop"]["per_s"]),
    ("p99 at half load, ms", lambda point: point["open_loop"]["latency_ms"]["p99"]),
    ("resident memory, MiB", lambda point: point["memory"]["resident"] / 2**20),
    ("start, s", lambda point: point["start_s"]),
)


def plot(points: list[dict[str, Any]], title: str, file: Path) -> None:
    """Writes one picture with a panel per quantity and a line per kind of index."""
    figure, axes = plt.subplots(2, 2, figsize=(10, 7), layout="constrained")
    for axis, (label, value) in zip(axes.flat, _PANELS, strict=True):
        for kind in dict.fromkeys(point["kind"] for point in points):
            line = [(each["items"], value(each)) for each in points if each["kind"] == kind]
            line = [pair for pair in line if pair[1] is not None]
            axis.plot(*zip(*line, strict=True), marker="o", label=kind)
        axis.set(xscale="log", yscale="log", xlabel="items", ylabel=label)
        axis.grid(visible=True, which="both", alpha=0.3)
        axis.legend()
    figure.suptitle(title)
    figure.savefig(file, dpi=120)


def main() -> int:
    """Plots from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    folder = parser.parse_args().out
    report = json.loads((folder / "growth.json").read_text(encoding="utf-8"))
    machine = report["machine"]
    plot(
        report["points"],
        f"{machine['cpu']}, {machine['cores']} cores, {machine['started_at'][:10]}",
        folder / "growth.png",
    )
    print(f"plot: {folder / 'growth.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
