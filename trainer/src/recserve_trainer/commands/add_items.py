"""`recserve-train add-items`: another catalogue for a published model, without learning."""

import argparse

from recserve_trainer.catalogue_config import CatalogueConfig, NewItemsConfig
from recserve_trainer.commands.flags import (
    add_index_flags,
    add_version_flags,
    checked,
    folder,
    index_config,
)
from recserve_trainer.config import BAD_ROWS

_DESCRIPTION = """\
Publishes the next version of a model with the same towers and another catalogue. New items are
embedded by their attributes, which content and hybrid models can; retired items leave, and leave
the users' histories. All other vectors stay as they are. Nothing is measured: the metrics in the
manifest are those of the version that was trained."""
_EPILOG = """\
Items can be retired in any family without a ranker but history and popularity.
Exit codes: 0 published, 1 failed or interrupted, 2 wrong usage."""


def parser() -> argparse.ArgumentParser:
    """Returns the flags of this command."""
    made = argparse.ArgumentParser(
        prog="recserve-train add-items",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_version_flags(made.add_argument_group("model"), "change")
    _add_item_flags(made)
    add_index_flags(made)
    return made


def _add_item_flags(made: argparse.ArgumentParser) -> None:
    add = made.add_argument_group("items").add_argument
    add(
        "--items",
        type=folder,
        metavar="FILE",
        help="new items as .csv or .parquet: an id, perhaps a title, and attributes as the model's "
        "items have them",
    )
    add(
        "--schema",
        type=folder,
        metavar="FILE",
        help="names and kinds of the columns; schema.json beside the items if not given",
    )
    add(
        "--bad-rows",
        default="fail",
        choices=BAD_ROWS,
        help="whether rows that cannot be used end the run or are left out",
    )
    add(
        "--retire",
        type=folder,
        nargs="+",
        action="extend",
        default=[],
        metavar="FILE",
        help="ids of items that leave, one a line",
    )
    add(
        "--retire-id",
        nargs="+",
        action="extend",
        default=[],
        metavar="ID",
        help="ids of items that leave",
    )


def run(arguments: argparse.Namespace) -> None:
    """Publishes the version and says where.

    Raises:
        UsageError: a flag's value is out of range, or there is nothing to do.
        TrainerError: nothing was published.
    """
    config = _config(arguments)
    # After the arguments are known to be good: this imports TensorFlow, for seconds.
    from absl import logging as absl_logging
    from rich.console import Console

    if config.index.kind == "scann":
        # First of all: a build that does not fit TensorFlow breaks the imports below as well.
        from recserve_trainer.index_choice import scann_library

        scann_library()
    from recserve_trainer.catalogue import change_catalogue
    from recserve_trainer.progress import Progress

    absl_logging.set_verbosity(absl_logging.ERROR)
    changed = change_catalogue(config, Progress())
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"items: {changed.added:,} added, {changed.retired:,} retired", markup=False)
    path = changed.path
    console.print(f"published {path.parent.name} version {path.name}: {path}", markup=False)


def _config(arguments: argparse.Namespace) -> CatalogueConfig:
    index = index_config(arguments)
    with checked():
        new_items = None
        if arguments.items is not None:
            new_items = NewItemsConfig(
                file=arguments.items, schema=arguments.schema, bad_rows=arguments.bad_rows
            )
        return CatalogueConfig(
            models_dir=arguments.models,
            name=arguments.name,
            version=getattr(arguments, "number", None),
            new_items=new_items,
            retired_files=tuple(arguments.retire),
            retired_ids=tuple(arguments.retire_id),
            index=index,
        )
