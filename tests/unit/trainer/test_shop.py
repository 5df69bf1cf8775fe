"""The invented shop: sizes as asked, the same for a seed, tastes that can be learnt."""

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from recserve_trainer.commands.example_shop import parser, run
from recserve_trainer.config import DatasetConfig, SplitConfig
from recserve_trainer.datasets.shop import ShopSize, shop_tables, write_shop
from recserve_trainer.datasets.tabular.reading import load_tabular
from recserve_trainer.errors import DatasetError, UsageError
from recserve_trainer.evaluation.split import split_by_time
from recserve_trainer.interactions import Dataset, Histories
from recserve_trainer.progress import Progress

SIZE = ShopSize(user_count=200, item_count=60, interaction_count=3000)


def load(folder: Path, file_format: str = "csv") -> Dataset:
    config = DatasetConfig(name=f"{file_format}:{folder}", data_dir=Path())
    return load_tabular(config, Progress(Console(quiet=True)))


def test_a_shop_has_the_size_that_was_asked_for(tmp_path: Path) -> None:
    write_shop(tmp_path, SIZE)

    dataset = load(tmp_path)

    assert (len(dataset.users), len(dataset.items)) == (200, 60)
    assert len(dataset.interactions) == 3000  # none repeats
    assert np.bincount(dataset.interactions.user_rows).min() >= 1
    kinds = {name: column.kind for name, column in dataset.items.columns.items()}
    assert kinds == {"category": "category", "price": "number", "tags": "category"}
    assert {name: each.kind for name, each in dataset.users.columns.items()} == {
        "age": "number",
        "city": "category",
    }


def test_csv_and_parquet_are_the_same_dataset(tmp_path: Path) -> None:
    write_shop(tmp_path, SIZE)
    write_shop(tmp_path, SIZE, "parquet")

    from_csv, from_parquet = load(tmp_path), load(tmp_path, "parquet")

    assert from_csv.items == from_parquet.items
    assert from_csv.users == from_parquet.users
    one, other = from_csv.interactions, from_parquet.interactions
    for field in ("user_rows", "item_rows", "ratings", "timestamps"):
        assert getattr(one, field).tolist() == getattr(other, field).tolist()


def test_the_same_seed_gives_the_same_shop_and_another_another() -> None:
    one, again = shop_tables(SIZE), shop_tables(SIZE)
    other = shop_tables(ShopSize(user_count=200, item_count=60, interaction_count=3000, seed=7))

    assert all(one[name].equals(again[name]) for name in one)
    assert not one["interactions"].equals(other["interactions"])


def test_customers_differ_in_taste_by_more_than_popularity_explains(tmp_path: Path) -> None:
    write_shop(tmp_path, SIZE)
    dataset = load(tmp_path)
    split = split_by_time(dataset.interactions, SplitConfig())
    train = Histories.of(len(dataset.users), split.train)
    held_out = Histories.of(len(dataset.users), split.test)
    bought = np.zeros((len(train), len(dataset.items)))
    for user in range(len(train)):
        bought[user, train[user]] = 1

    # Cosines of columns: who bought this bought that.
    normed = bought / np.maximum(1, np.linalg.norm(bought, axis=0))
    by_taste = bought @ (normed.T @ normed)
    by_popularity = np.tile(bought.sum(axis=0), (len(bought), 1))

    def recall(scores: np.ndarray) -> float:
        ranked = np.argsort(np.where(bought > 0, -np.inf, scores), axis=1)[:, ::-1][:, :10]
        users = [user for user in range(len(ranked)) if len(held_out[user])]
        return float(np.mean([np.isin(held_out[user], ranked[user]).mean() for user in users]))

    assert recall(by_taste) > 1.2 * recall(by_popularity)


@pytest.mark.parametrize(
    "flags",
    [["--users", "9"], ["--items", "9"], ["--interactions", "999"], ["--interactions", "150001"]],
)
def test_a_size_out_of_range_is_refused_before_anything_is_written(
    tmp_path: Path, flags: list[str]
) -> None:
    with pytest.raises(UsageError, match=r"is \d+, must be from \d+ to \d+"):
        run(parser().parse_args([str(tmp_path / "shop"), *flags]))

    assert not (tmp_path / "shop").exists()


def test_the_command_names_what_it_wrote_and_writes_over_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = parser().parse_args([str(tmp_path), "--users", "20", "--interactions", "60"])

    run(flags)

    said = capsys.readouterr().out.splitlines()
    assert said[:3] == [
        str(tmp_path / f"{name}.csv") for name in ("interactions", "items", "users")
    ]
    assert said[3] == f"train on it: recserve-train --dataset csv:{tmp_path}"
    with pytest.raises(DatasetError, match=r"interactions\.csv exists; give another folder"):
        run(flags)
