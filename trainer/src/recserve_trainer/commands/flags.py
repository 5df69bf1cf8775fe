"""Flags that several commands share, and what becomes of them."""

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from recserve_trainer.config import BAD_ROWS, INDEX_KINDS, DatasetConfig, IndexConfig, SplitConfig
from recserve_trainer.errors import UsageError
from recserve_trainer.fit_configs import FIT_CONFIGS
from recserve_trainer.fit_settings import FitConfig
from recserve_trainer.index_choice import EXACT_ITEMS

_SETTINGS: Final = {
    "seed": "same seed, same machine, same model",
    "epochs": "most passes over the interactions",
    "patience": "epochs without a better validation nDCG@10 before stopping",
    "batch_size": "interactions per step",
    "learning_rate": "step size of Adam",
    "l2": "weight of the squared norms of embeddings",
    "embedding_dimension": "length of the learnt vectors",
}
"""Settings with a flag of their own; all others go through --set."""


@contextmanager
def checked() -> Iterator[None]:
    """Makes a setting that is out of range wrong usage of the command.

    Raises:
        UsageError: for a ValueError raised inside.
    """
    try:
        yield
    except ValueError as error:
        raise UsageError(str(error)) from error


def folder(text: str) -> Path:
    """Reads a path, `~` included."""
    return Path(text).expanduser()


def add_version_flags(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup, purpose: str
) -> None:
    """Adds `models`, `name` and, unless it is to be the newest, `number` of a published version."""
    add = parser.add_argument
    add("--models", type=folder, default="models", metavar="DIR", help="folder published under")
    add("--name", default="films", help="name of the model")
    add(
        "--version",
        dest="number",
        type=int,
        default=argparse.SUPPRESS,
        metavar="N",
        help=f"which version to {purpose} (default: the newest)",
    )


def add_dataset_flags(parser: argparse.ArgumentParser) -> None:
    """Adds what `dataset_config` reads."""
    add = parser.add_argument_group("dataset").add_argument
    add(
        "--dataset",
        default="auto",
        help="movielens/100k, 1m, 20m, 25m or latest-small; csv:DIR or parquet:DIR, your own; "
        "recserve_synthetic/USERSxITEMS[xINTERACTIONS][@SEED]; or auto: MovieLens 100K if it is "
        "prepared or can be downloaded, else synthetic",
    )
    add(
        "--data-dir",
        type=folder,
        default=os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets",
        metavar="DIR",
        help="folder of datasets prepared by tensorflow_datasets; TFDS_DATA_DIR sets the default",
    )
    add(
        "--archive",
        type=folder,
        metavar="FILE",
        help="a MovieLens archive to prepare from, e.g. ml-100k.zip; needs no network",
    )
    add(
        "--schema",
        type=folder,
        metavar="FILE",
        help="with csv: and parquet:, the names and kinds of columns; schema.json beside the "
        "tables if not given",
    )
    add(
        "--bad-rows",
        default="fail",
        choices=BAD_ROWS,
        help="with csv: and parquet:, whether rows that cannot be used end the run or are left out",
    )


def dataset_config(arguments: argparse.Namespace) -> DatasetConfig:
    """Reads which dataset to learn from.

    Raises:
        UsageError: it cannot be.
    """
    with checked():
        return DatasetConfig(
            name=arguments.dataset,
            data_dir=arguments.data_dir,
            archive=arguments.archive,
            schema=arguments.schema,
            bad_rows=arguments.bad_rows,
        )


def add_set_flag(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Adds what `assigned` reads."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting that has no flag of its own; a wrong NAME lists all",
    )


def assigned(assignments: Sequence[str]) -> dict[str, str]:
    """Reads settings given as NAME=VALUE; of one that is given twice the last counts.

    Raises:
        ValueError: there is no = in one.
    """
    settings = {}
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not separator:
            raise ValueError(f"--set takes NAME=VALUE, not {assignment!r}")
        settings[name] = value
    return settings


def add_family_flags(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Adds the family and, by name, any of its settings."""
    parser.add_argument(
        "--model", default="collaborative", choices=FIT_CONFIGS, help="family of the model"
    )
    add_set_flag(parser)


def add_model_flags(parser: argparse.ArgumentParser) -> None:
    """Adds what `fit_config` reads."""
    group = parser.add_argument_group("model")
    # Families differ in their defaults, so a flag that is not given must be told from one that is.
    for name, text in _SETTINGS.items():
        group.add_argument(
            f"--{name.replace('_', '-')}",
            default=argparse.SUPPRESS,
            metavar="N",
            help=f"{text} (default: the family's)",
        )
    add_family_flags(group)


def given_settings(arguments: argparse.Namespace) -> dict[str, str]:
    """Reads the settings that the command line has, by a flag of their own or by --set.

    Raises:
        UsageError: a --set is no NAME=VALUE.
    """
    flags = {name: str(getattr(arguments, name)) for name in _SETTINGS if hasattr(arguments, name)}
    with checked():
        return flags | assigned(arguments.set)


def fit_config(arguments: argparse.Namespace) -> FitConfig:
    """Reads how the chosen family is to learn.

    Raises:
        UsageError: a setting is unknown or out of range.
    """
    settings = given_settings(arguments)
    with checked():
        return FIT_CONFIGS[arguments.model]().with_settings(settings)


def add_split_flags(parser: argparse.ArgumentParser) -> None:
    """Adds what `split_config` reads."""
    split = SplitConfig()
    add = parser.add_argument_group("split").add_argument
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


def split_config(arguments: argparse.Namespace) -> SplitConfig:
    """Reads how interactions are split.

    Raises:
        UsageError: a share is out of range.
    """
    with checked():
        return SplitConfig(
            validation_share=arguments.validation_share, test_share=arguments.test_share
        )


def add_index_flags(parser: argparse.ArgumentParser) -> None:
    """Adds what `index_config` reads."""
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


def index_config(arguments: argparse.Namespace) -> IndexConfig:
    """Reads how the catalogue is to be searched.

    Raises:
        UsageError: the recall is out of range.
    """
    with checked():
        return IndexConfig(kind=arguments.index, min_recall=arguments.min_index_recall)
