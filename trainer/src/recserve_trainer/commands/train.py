"""`recserve-train [train]`: from a dataset to a published version."""

import argparse

from recserve_trainer.commands.flags import (
    add_dataset_flags,
    add_index_flags,
    add_model_flags,
    add_split_flags,
    checked,
    dataset_config,
    fit_config,
    folder,
    index_config,
    split_config,
)
from recserve_trainer.config import TrainConfig
from recserve_trainer.index_choice import scann_library

_DESCRIPTION = """\
Trains a recommender model, measures it on held-out interactions beside popularity, and publishes
it as MODELS/NAME/VERSION, the next free version. Whatever goes wrong, no half version is left."""
_EPILOG = """\
Other commands, each with --help: recserve-train benchmark, ratings, report, tune, add-items,
example-shop.
Exit codes: 0 published, 1 failed or interrupted, 2 wrong usage."""


def parser() -> argparse.ArgumentParser:
    """Returns the flags of this command."""
    made = argparse.ArgumentParser(
        prog="recserve-train",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_dataset_flags(made)
    add = made.add_argument_group("output").add_argument
    add("--models", type=folder, default="models", metavar="DIR", help="folder to publish under")
    add("--name", default="films", help="name of the model")
    add(
        "--logs",
        type=folder,
        metavar="DIR",
        help="folder of TensorBoard logs; MODELS/NAME/logs if not given",
    )
    add_model_flags(made)
    made.add_argument(
        "--refit",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="learn once more from training and validation interactions together, for as many "
        "epochs as were best",
    )
    add_split_flags(made)
    add_index_flags(made)
    return made


def run(arguments: argparse.Namespace) -> None:
    """Trains, and shows what came of it.

    Raises:
        UsageError: a flag's value is out of range.
        TrainerError: nothing was published.
    """
    train(_config(arguments))


def train(config: TrainConfig) -> None:
    """Runs the pipeline and prints its results."""
    # After the arguments are known to be good: this imports TensorFlow, for seconds.
    from absl import logging as absl_logging
    from rich.console import Console

    if config.index.kind == "scann":
        # First of all: a build that does not fit TensorFlow breaks the imports below as well.
        scann_library()
    from recserve_trainer.pipeline import run as run_pipeline
    from recserve_trainer.progress import Progress
    from recserve_trainer.report import results_table

    absl_logging.set_verbosity(absl_logging.ERROR)
    published = run_pipeline(config, Progress())
    if published is None:
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(results_table(published.metrics))
    console.print(
        f"published {published.path.parent.name} version {published.path.name}: {published.path}",
        markup=False,
    )


def _config(arguments: argparse.Namespace) -> TrainConfig:
    with checked():
        return TrainConfig(
            dataset=dataset_config(arguments),
            models_dir=arguments.models,
            name=arguments.name,
            index=index_config(arguments),
            split=split_config(arguments),
            fit=fit_config(arguments),
            refit=arguments.refit,
            logs_dir=arguments.logs,
        )
