"""`recserve-train benchmark`: a family on a published protocol, beside baselines."""

import argparse
import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from recserve_trainer.benchmark_config import BenchmarkConfig
from recserve_trainer.commands.flags import (
    add_family_flags,
    add_index_flags,
    checked,
    fit_config,
    folder,
    index_config,
)
from recserve_trainer.config import IndexConfig
from recserve_trainer.errors import TrainerError, UsageError
from recserve_trainer.evaluation.baselines import BASELINES
from recserve_trainer.evaluation.tasks import PROTOCOLS
from recserve_trainer.index_choice import scann_library

if TYPE_CHECKING:
    from recserve_trainer.benchmark import BenchmarkResult

_DESCRIPTION = """\
Holds a model family against published results, and against baselines that are fitted on the very
same split of MovieLens 100K. The model is exported, loaded again, and ranks through the SavedModel
as it would for a server. It learns with the family's settings unless --set changes them, and sees
nothing of the test part."""
_EPILOG = """\
Splits: item and user are those of recommenders-team, digit for digit (75 percent train, every
rating relevant, training items never recommended); time splits at one point in time; new-users,
new-items and new-both hold users, items or both out of training whole.
Exit codes: 0 done, 1 failed or interrupted, 2 wrong usage."""
_BASELINES_OF: Final = {
    "new-items": ("random", "popularity", "content-popularity"),
    "new-both": ("random", "popularity", "content-popularity"),
}
_USUAL_BASELINES: Final = ("popularity", "item-knn", "sar", "ials", "ease")


def parser() -> argparse.ArgumentParser:
    """Returns the flags of this command."""
    made = argparse.ArgumentParser(
        prog="recserve-train benchmark",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    _add_protocol_flags(made)
    group = made.add_argument_group("model")
    group.add_argument(
        "--model-seed", metavar="N", help="seed of the training (default: the family's)"
    )
    add_family_flags(group)
    add_index_flags(made)
    add = made.add_argument_group("output").add_argument
    add(
        "--dump",
        type=folder,
        metavar="FILE",
        help="write the model's rankings as CSV: user and item as in the archive, rank from 1; of "
        "the first task if the split has several",
    )
    add("--json", type=folder, metavar="FILE", help="write all results as JSON")
    add(
        "--models",
        type=folder,
        metavar="DIR",
        help="folder to publish the model under and keep it; else it is thrown away",
    )
    return made


def _add_protocol_flags(made: argparse.ArgumentParser) -> None:
    add = made.add_argument_group("protocol").add_argument
    add("--archive", type=folder, required=True, metavar="FILE", help="GroupLens' ml-100k.zip")
    add("--split", default="item", choices=PROTOCOLS, help="what is held out")
    add("--seed", type=int, default=42, metavar="N", help="fixes the split; published rows have 42")
    add("--k", type=int, default=10, metavar="N", help="length of the rankings")
    add(
        "--baselines",
        default="auto",
        metavar="NAMES",
        help=f"of {', '.join(BASELINES)}, separated by commas; none; or auto: what suits the split",
    )


def run(arguments: argparse.Namespace) -> None:
    """Runs the benchmark, shows it, and writes what is asked for.

    Raises:
        UsageError: a flag's value is out of range.
        TrainerError: the archive cannot be used, the model was not published, or a file cannot be
            written.
    """
    index = index_config(arguments)
    config = _config(arguments, index)
    _check_files(arguments)
    if index.kind == "scann":
        # First of all: a build that does not fit TensorFlow breaks the imports below as well.
        scann_library()
    # After the arguments are known to be good: this imports TensorFlow, for seconds.
    from absl import logging as absl_logging

    from recserve_trainer.benchmark import run as run_benchmark
    from recserve_trainer.progress import Progress

    absl_logging.set_verbosity(absl_logging.ERROR)
    result = run_benchmark(config, Progress())
    try:
        if arguments.dump is not None:
            _write_rankings(result, arguments.dump)
        if arguments.json is not None:
            written = json.dumps(result.record(), indent=2, allow_nan=False)
            arguments.json.write_text(written + "\n", encoding="utf-8")
    except OSError as error:
        raise TrainerError(f"{error.filename} cannot be written: {error.strerror}") from error
    _show(result)


def _check_files(arguments: argparse.Namespace) -> None:
    """Finds out before the work, not after it, what cannot be written."""
    for file in (arguments.dump, arguments.json):
        if file is not None and not file.parent.is_dir():
            raise UsageError(f"{file} cannot be written: there is no folder {file.parent}")


def _config(arguments: argparse.Namespace, index: IndexConfig) -> BenchmarkConfig:
    settings = argparse.Namespace(model=arguments.model, set=arguments.set)
    if arguments.model_seed is not None:
        settings.seed = arguments.model_seed
    fit = fit_config(settings)
    names = tuple(dict.fromkeys(arguments.baselines.split(",")))
    if names == ("auto",):
        names = _BASELINES_OF.get(arguments.split, _USUAL_BASELINES)
    with checked():
        return BenchmarkConfig(
            archive=arguments.archive,
            fit=fit,
            protocol=arguments.split,
            seed=arguments.seed,
            k=arguments.k,
            baselines=() if names == ("none",) else names,
            index=index,
            models_dir=arguments.models,
        )


def _write_rankings(result: "BenchmarkResult", file: Path) -> None:
    user_ids, item_ids = result.dataset.users.ids, result.dataset.items.ids
    rankings = result.evidence[0].rankings
    with file.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow(["user", "item", "rank"])
        for user, row in zip(rankings.user_rows.tolist(), rankings.item_rows, strict=True):
            found = row[row >= 0].tolist()
            writer.writerows(
                [user_ids[user], item_ids[item], place] for place, item in enumerate(found, 1)
            )


def _show(result: "BenchmarkResult") -> None:
    from rich.console import Console

    from recserve_trainer.benchmark_tables import tables

    console = Console(highlight=False, soft_wrap=True)
    for place, evidence in enumerate(result.evidence):
        published = result.published if place == 0 else ()
        for table in tables(evidence, published, result.config.family):
            console.print(table)
    if result.path is not None:
        console.print(f"published {result.path}", markup=False)
