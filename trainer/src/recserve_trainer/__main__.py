"""argv -> TrainConfig -> a published version; the only reader of argv and environ."""

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import NoReturn

from recserve_trainer.config import (
    INDEX_KINDS,
    DatasetConfig,
    IndexConfig,
    SplitConfig,
    TrainConfig,
)
from recserve_trainer.errors import TrainerError
from recserve_trainer.fit_configs import FIT_CONFIGS, FitConfig
from recserve_trainer.index_choice import EXACT_ITEMS, scann_library

_DESCRIPTION = """\
Trains a recommender model, measures it on held-out interactions beside popularity, and publishes
it as MODELS/NAME/VERSION, the next free version. Whatever goes wrong, no half version is left."""
_SETTINGS = {
    "seed": "same seed, same machine, same model",
    "epochs": "most passes over the interactions",
    "patience": "epochs without a better validation nDCG@10 before stopping",
    "batch_size": "interactions per step",
    "learning_rate": "step size of Adam",
    "l2": "weight of the squared norms of embeddings",
    "embedding_dimension": "length of the learnt vectors",
}
_EPILOG = "Exit codes: 0 published, 1 failed or interrupted, 2 wrong usage."


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `recserve-train`; returns its exit code."""
    parser = _parser(os.environ)
    arguments = parser.parse_args(argv)
    try:
        config = _config(arguments)
    except ValueError as error:
        parser.error(str(error))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _train(config)
    except (Exception, KeyboardInterrupt) as error:
        if arguments.traceback:
            traceback.print_exc()
        print(f"recserve-train: {_reason(error)}", file=sys.stderr)
        return 1
    return 0


def _train(config: TrainConfig) -> None:
    # After the arguments are known to be good: this imports TensorFlow, for seconds.
    from absl import logging as absl_logging
    from rich.console import Console

    if config.index.kind == "scann":
        # First of all: a build that does not fit TensorFlow breaks the imports below as well.
        scann_library()
    from recserve_trainer.pipeline import run
    from recserve_trainer.progress import Progress
    from recserve_trainer.report import results_table

    absl_logging.set_verbosity(absl_logging.ERROR)
    published = run(config, Progress())
    console = Console(highlight=False, soft_wrap=True)
    console.print(results_table(published.metrics))
    console.print(
        f"published {published.path.parent.name} version {published.path.name}: {published.path}",
        markup=False,
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, TrainerError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted, nothing was published"
    first_line = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line}; nothing was published (--traceback for more)"


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _config(arguments: argparse.Namespace) -> TrainConfig:
    return TrainConfig(
        dataset=DatasetConfig(
            name=arguments.dataset, data_dir=arguments.data_dir, archive=arguments.archive
        ),
        models_dir=arguments.models,
        name=arguments.name,
        index=IndexConfig(kind=arguments.index, min_recall=arguments.min_index_recall),
        split=SplitConfig(
            validation_share=arguments.validation_share, test_share=arguments.test_share
        ),
        fit=_fit_config(arguments),
        logs_dir=arguments.logs,
    )


def _fit_config(arguments: argparse.Namespace) -> FitConfig:
    settings = {
        name: str(value) for name in _SETTINGS if (value := getattr(arguments, name)) is not None
    }
    for assignment in arguments.set:
        name, separator, value = assignment.partition("=")
        if not separator:
            raise ValueError(f"--set takes NAME=VALUE, not {assignment!r}")
        settings[name] = value
    return FIT_CONFIGS[arguments.model]().with_settings(settings)


def _parser(env: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="recserve-train",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    default_data_dir = env.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    folder = lambda text: Path(text).expanduser()  # noqa: E731
    add = parser.add_argument_group("dataset").add_argument
    add(
        "--dataset",
        default="auto",
        help="movielens/100k, 1m, 20m, 25m or latest-small; "
        "recserve_synthetic/USERSxITEMS[xINTERACTIONS][@SEED]; or auto: MovieLens 100K if it is "
        "prepared or can be downloaded, else synthetic",
    )
    add(
        "--data-dir",
        type=folder,
        default=default_data_dir,
        metavar="DIR",
        help="folder of datasets prepared by tensorflow_datasets; TFDS_DATA_DIR sets the default",
    )
    add(
        "--archive",
        type=folder,
        metavar="FILE",
        help="a MovieLens archive to prepare from, e.g. ml-100k.zip; needs no network",
    )
    add = parser.add_argument_group("output").add_argument
    add("--models", type=folder, default="models", metavar="DIR", help="folder to publish under")
    add("--name", default="films", help="name of the model")
    add(
        "--logs",
        type=folder,
        metavar="DIR",
        help="folder of TensorBoard logs; MODELS/NAME/logs if not given",
    )
    add("--traceback", action="store_true", help="on failure, show where in the code")
    parser.add_argument("--version", action="version", version=version("recserve-trainer"))
    _add_model_arguments(parser)
    _add_index_arguments(parser)
    return parser


def _add_model_arguments(parser: argparse.ArgumentParser) -> None:
    split = SplitConfig()
    add = parser.add_argument_group("model").add_argument
    add("--model", default="collaborative", choices=FIT_CONFIGS, help="family of the model")
    # Families differ in their defaults, so a flag that is not given must be told from one that is.
    for name, text in _SETTINGS.items():
        add(f"--{name.replace('_', '-')}", default=None, help=f"{text} (default: the family's)")
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other setting of the family; a wrong NAME lists them",
    )
    add(
        "--validation-share",
        type=float,
        default=split.validation_share,
        help="share of each user's interactions that chooses the epoch",
    )
    add(
        "--test-share",
        type=float,
        default=split.test_share,
        help="share of each user's interactions, the newest, to test on",
    )


def _add_index_arguments(parser: argparse.ArgumentParser) -> None:
    index = IndexConfig()
    add = parser.add_argument_group("index").add_argument
    add(
        "--index",
        default=index.kind,
        choices=INDEX_KINDS,
        help=f"how the catalogue is searched: auto is exact up to {EXACT_ITEMS:,} items, and above "
        "that scann, approximate, where it is installed",
    )
    add(
        "--min-index-recall",
        type=float,
        default=index.min_recall,
        help="least share of the exact top 10 that a scann index must find to be published",
    )


if __name__ == "__main__":
    sys.exit(main())
