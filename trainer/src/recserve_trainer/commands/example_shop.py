"""`recserve-train example-shop`: an invented shop's tables, to try own data with."""

import argparse
from pathlib import Path

from recserve_trainer.commands.flags import checked, folder

_DESCRIPTION = """\
Writes an invented shop: interactions (who bought what when), items (products with name, category,
price and tags) and users (customers with age and city). The same flags give the same shop.
recserve-train --dataset csv:DIR reads it."""


def parser() -> argparse.ArgumentParser:
    """Returns the flags of this command."""
    made = argparse.ArgumentParser(
        prog="recserve-train example-shop",
        description=_DESCRIPTION,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = made.add_argument
    add("directory", type=folder, metavar="DIR", help="folder to write to; made if it is not there")
    add("--users", type=int, default=1000, metavar="N", help="customers, 10 to 1,000,000")
    add("--items", type=int, default=300, metavar="N", help="products, 10 to 100,000")
    add(
        "--interactions",
        type=int,
        default=30_000,
        metavar="N",
        help="purchases, from one to half of the products per customer",
    )
    add("--seed", type=int, default=42, metavar="N", help="same seed, same shop")
    add("--format", default="csv", choices=("csv", "parquet"), help="format of the files")
    return made


def run(arguments: argparse.Namespace) -> None:
    """Writes the shop and names its files.

    Raises:
        UsageError: a size is out of range.
        TrainerError: the folder has tables already.
    """
    from recserve_trainer.datasets.shop import ShopSize, write_shop

    with checked():
        size = ShopSize(
            user_count=arguments.users,
            item_count=arguments.items,
            interaction_count=arguments.interactions,
            seed=arguments.seed,
        )
    directory: Path = arguments.directory
    for path in write_shop(directory, size, arguments.format):
        print(path)
    print(f"train on it: recserve-train --dataset {arguments.format}:{directory}")
