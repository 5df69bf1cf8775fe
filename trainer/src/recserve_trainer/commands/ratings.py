"""`recserve-train ratings`: how well explicit ratings are predicted, beside published errors."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from recserve_trainer.commands.flags import add_set_flag, assigned, checked, folder
from recserve_trainer.errors import TrainerError, UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from recserve_trainer.benchmark_ratings import RatingBenchmark

_DESCRIPTION = """\
Learns to predict the stars of MovieLens 100K with a deep and cross network beside biases and
factors, on the folds u1 to u5 that come with the archive, and prints the errors on their test
parts, and how well each user's test items are ordered, beside published errors."""


def parser() -> argparse.ArgumentParser:
    """Returns the flags of this command."""
    made = argparse.ArgumentParser(
        prog="recserve-train ratings",
        description=_DESCRIPTION,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = made.add_argument
    add("--archive", type=folder, required=True, metavar="FILE", help="GroupLens' ml-100k.zip")
    add("--folds", default="1-5", metavar="N[-N]", help="which of the folds 1 to 5, e.g. 1 or 2-4")
    add_set_flag(made)
    add("--json", type=folder, metavar="FILE", help="also write everything there")
    return made


def run(arguments: argparse.Namespace) -> None:
    """Trains on every fold, and shows the errors.

    Raises:
        UsageError: a flag's value is out of range.
        TrainerError: the archive cannot be read, or the file not be written.
    """
    folds = _folds(arguments.folds)
    # After the folds are known to be good: this imports TensorFlow, for seconds.
    from rich.console import Console

    from recserve_trainer.benchmark_ratings import RatingBenchmarkConfig, run_rating_benchmark
    from recserve_trainer.learning.dcn import RatingConfig
    from recserve_trainer.progress import Progress

    with checked():
        fit = RatingConfig().with_settings(assigned(arguments.set))
        config = RatingBenchmarkConfig(archive=arguments.archive, folds=folds, fit=fit)
    found = run_rating_benchmark(config, Progress())
    Console(highlight=False, soft_wrap=True).print(_table(found))
    if arguments.json is not None:
        _write(arguments.json, found)


def _folds(text: str) -> list[int]:
    first, _, last = text.partition("-")
    try:
        found = list(range(int(first), int(last or first) + 1))
    except ValueError:
        found = []
    if not found or found[0] < 1 or found[-1] > 5:
        raise UsageError(f"--folds is {text!r}, must be a fold or a range of folds from 1 to 5")
    return found


def _table(found: "RatingBenchmark") -> "Table":
    from rich.table import Table

    from recserve_trainer.benchmark_ratings import PUBLISHED_ERRORS

    table = Table("model", "folds", "RMSE", "MAE", "nDCG@10")
    for fold, metrics in found.metrics.items():
        table.add_row("dcn", f"u{fold}", *(f"{value:.4f}" for value in metrics.by_name().values()))
    mean = [f"{value:.4f}" for value in found.mean().values()]
    table.add_row("dcn", "mean", *mean, end_section=True)
    for row in PUBLISHED_ERRORS:
        table.add_row(row.model, "5, random", f"{row.rmse:.3f}", f"{row.mae:.3f}", "")
    return table


def _write(file: Path, found: "RatingBenchmark") -> None:
    try:
        file.write_text(json.dumps(found.record(), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise TrainerError(f"cannot write {file}: {error.strerror}") from error
