"""`recserve-train tune`: better settings for a family, found on the validation split."""

import argparse
import math
import shlex
from typing import TYPE_CHECKING

from recserve_trainer.commands.flags import (
    add_dataset_flags,
    add_model_flags,
    add_split_flags,
    checked,
    dataset_config,
    fit_config,
    folder,
    given_settings,
    split_config,
)
from recserve_trainer.config import TrainConfig

if TYPE_CHECKING:
    from recserve_trainer.tuning import Found

_DESCRIPTION = """\
Trains a family with one set of settings after another and tells which rank the validation split
best. The test split is not looked at, and nothing is published. Settings that are given, by a flag
or by --set, are kept as they are; the others are searched, beginning with the family's defaults.
Every trial is kept in a file as soon as it ends: the same command goes on from there."""
_EPILOG = "Exit codes: 0 done, 1 failed or interrupted, 2 wrong usage."


def parser() -> argparse.ArgumentParser:
    """Returns the flags of this command."""
    made = argparse.ArgumentParser(
        prog="recserve-train tune",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_dataset_flags(made)
    add = made.add_argument_group("search").add_argument
    add("--trials", type=int, default=30, metavar="N", help="trials to run, besides earlier ones")
    add(
        "--timeout",
        type=float,
        default=math.inf,
        metavar="SECONDS",
        help="begin no further trial after so long",
    )
    add(
        "--study",
        type=folder,
        metavar="FILE",
        help="SQLite file that keeps the trials; MODELS/NAME/tune.db if not given",
    )
    add("--models", type=folder, default="models", metavar="DIR", help="folder of all models")
    add("--name", default="films", help="name of the model to be tuned")
    add_model_flags(made)
    add_split_flags(made)
    return made


def run(arguments: argparse.Namespace) -> None:
    """Searches, and prints what to train with.

    Raises:
        UsageError: a flag's value is out of range.
        TrainerError: optuna is not installed, or there is nothing to search with or in.
    """
    with checked():
        train = TrainConfig(
            dataset=dataset_config(arguments),
            models_dir=arguments.models,
            name=arguments.name,
            split=split_config(arguments),
            fit=fit_config(arguments),
        )
    # After the flags are known to be good: this imports TensorFlow, for seconds.
    from absl import logging as absl_logging

    from recserve_trainer.progress import Progress
    from recserve_trainer.tuning import TuneConfig, tune

    absl_logging.set_verbosity(absl_logging.ERROR)
    with checked():
        config = TuneConfig(
            train=train,
            fixed=frozenset(given_settings(arguments)),
            study=arguments.study or arguments.models / arguments.name / "tune.db",
            trials=arguments.trials,
            timeout_s=arguments.timeout,
        )
    _show(tune(config, Progress()), arguments)


def _show(found: "Found", arguments: argparse.Namespace) -> None:
    print(f"best of {found.trial_count} trials: validation nDCG@10 {found.ndcg:.4f}; train with")
    settings = given_settings(arguments) | dict(found.settings)
    words = [f"--set {shlex.quote(f'{name}={value}')}" for name, value in settings.items()]
    print(f"  --model {arguments.model} {' '.join(words)}")
