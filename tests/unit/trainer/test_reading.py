"""Rows, ratings and times as they are on disk, read in many batches as in one."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from rich.console import Console

from recserve_trainer.config import DatasetConfig
from recserve_trainer.datasets import tfds_reading
from recserve_trainer.datasets.id_order import natural
from recserve_trainer.datasets.load import load_dataset
from recserve_trainer.datasets.synthetic import parse_size, synthetic_builder
from recserve_trainer.interactions import Dataset
from recserve_trainer.progress import Progress

pytestmark = pytest.mark.tensorflow

SIZE = "12x30x150@3"


def load(data_dir: Path) -> Dataset:
    config = DatasetConfig(name=f"recserve_synthetic/{SIZE}", data_dir=data_dir)
    return load_dataset(config, Progress(Console(quiet=True)))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("tfds")
    load(data_dir)
    return data_dir


def examples(data_dir: Path, table: str) -> list[dict]:
    """What TFDS itself gives, one example at a time."""
    builder = synthetic_builder(parse_size(SIZE), table, data_dir)
    return list(tfds.as_numpy(builder.as_dataset(split="train")))


@pytest.mark.parametrize("rows_per_read", [7, 65_536])
def test_every_rating_is_read_with_its_own_user_item_stars_and_time(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, rows_per_read: int
) -> None:
    monkeypatch.setattr(tfds_reading, "_ROWS_PER_READ", rows_per_read)

    dataset = load(data_dir)

    read = dataset.interactions
    columns = (read.user_rows, read.item_rows, read.ratings.tolist(), read.timestamps.tolist())
    found = [
        (dataset.user_ids[user], dataset.items.ids[item], stars, time)
        for user, item, stars, time in zip(*columns, strict=True)
    ]
    expected = [
        (
            each["user_id"].decode(),
            each["movie_id"].decode(),
            float(each["user_rating"]),
            int(each["timestamp"]),
        )
        for each in examples(data_dir, "ratings")
    ]
    assert len(expected) == 150
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("rows_per_read", [7, 65_536])
def test_every_item_is_read_with_its_own_title_year_and_genres_by_name(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, rows_per_read: int
) -> None:
    monkeypatch.setattr(tfds_reading, "_ROWS_PER_READ", rows_per_read)
    builder = synthetic_builder(parse_size(SIZE), "movies", data_dir)
    names = builder.info.features["movie_genres"].feature.names

    items = load(data_dir).items

    expected = {
        each["movie_id"].decode(): (
            each["movie_title"].decode(),
            int(each["movie_title"].decode()[-5:-1]),  # "Title (1995)"
            [names[code] for code in each["movie_genres"]],
        )
        for each in examples(data_dir, "movies")
    }
    rows = zip(
        items.titles,
        items.columns["year"].values.to_pylist(),
        items.columns["genres"].values.to_pylist(),
        strict=True,
    )
    assert dict(zip(items.ids, rows, strict=True)) == expected
    assert len(items) == 30


def test_ids_are_in_the_order_of_their_numbers_not_of_their_letters(data_dir: Path) -> None:
    dataset = load(data_dir)

    assert dataset.user_ids == [str(number) for number in range(1, 13)]
    assert dataset.items.ids == [str(number) for number in range(1, 31)]


def test_numbers_come_before_words_and_equal_numbers_by_their_text() -> None:
    identifiers = ["b", "10", "9", "", "09", "²", "a1"]

    assert sorted(identifiers, key=natural) == ["09", "9", "10", "", "a1", "b", "²"]


@pytest.mark.parametrize(
    ("title", "year"),
    [("Toy Story (1995)", "1995"), ("Heat (1995) ", "1995"), ("1984", None), ("M (1931) x", None)],
)
def test_a_year_is_four_digits_in_brackets_at_the_end(title: str, year: str | None) -> None:
    found = tfds_reading._YEAR.search(title)

    assert (found[1] if found else None) == year


def test_ratings_keep_their_users_in_whatever_order_users_first_occur(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Invented ratings come user by user; MovieLens's do not.
    in_order, read_batches = load(data_dir), tfds_reading._batches
    shuffled = np.random.default_rng(0).permutation(len(in_order.interactions))

    def in_another_order(*arguments: object) -> Iterator[dict[str, np.ndarray]]:
        for batch in read_batches(*arguments):
            yield {name: column[shuffled] for name, column in batch.items()}

    monkeypatch.setattr(tfds_reading, "_batches", in_another_order)

    dataset = load(data_dir)

    assert dataset.user_ids == in_order.user_ids
    expected = in_order.interactions.take(shuffled)
    assert dataset.interactions.user_rows.tolist() == expected.user_rows.tolist()
    assert dataset.interactions.item_rows.tolist() == expected.item_rows.tolist()
    assert dataset.interactions.timestamps.tolist() == expected.timestamps.tolist()
