"""Examples of tensorflow_datasets -> users, items and interactions as plain arrays."""

import re
from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import tensorflow_datasets as tfds
from numpy.typing import NDArray

from recserve_trainer.datasets.id_order import natural
from recserve_trainer.errors import DatasetError
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.tables import Column, ItemTable, UserTable, category_column

_ROWS_PER_READ: Final = 65_536
_PROFILE_COLUMNS: Final = {
    "raw_user_age": "age",
    "bucketized_user_age": "age",
    "user_gender": "gender",
    "user_occupation_text": "occupation",
}
_YEAR: Final = re.compile(r"\((\d{4})\)\s*$")


def read_examples(
    name: str, ratings: tfds.core.DatasetBuilder, movies: tfds.core.DatasetBuilder
) -> Dataset:
    """Reads a prepared pair of datasets, ratings and their catalogue, into arrays.

    Raises:
        DatasetError: there are no ratings, or one of an item that the catalogue lacks.
    """
    items = _read_items(movies)
    item_row_of = {item_id: row for row, item_id in enumerate(items.ids)}
    user_codes: dict[bytes, int] = {}
    columns: list[Interactions] = []
    profiles = _Profiles(ratings)
    # Without the genres, lists of any length, examples are read in batches.
    fields = ["user_id", "movie_id", "user_rating", "timestamp", *profiles.fields]
    for batch in _batches(ratings, dict.fromkeys(fields, True)):
        users = [user_codes.setdefault(user, len(user_codes)) for user in batch["user_id"]]
        profiles.read(batch, users)
        try:
            item_rows = [item_row_of[item.decode()] for item in batch["movie_id"]]
        except KeyError as error:
            raise DatasetError(f"item {error} has ratings but is not in the catalogue") from error
        columns.append(
            Interactions(
                np.array(users, np.int32),
                np.array(item_rows, np.int32),
                batch["user_rating"].astype(np.float32),
                batch["timestamp"].astype(np.int64),
            )
        )
    if not columns:
        raise DatasetError(f"{name} holds no ratings")
    user_ids = [user.decode() for user in user_codes]
    order = sorted(range(len(user_ids)), key=lambda code: natural(user_ids[code]))
    return Dataset(
        name=name,
        version=str(ratings.version),
        users=UserTable([user_ids[code] for code in order], profiles.columns(order)),
        items=items,
        interactions=_in_order(columns, order),
    )


def _in_order(parts: list[Interactions], order: list[int]) -> Interactions:
    """Joins parts whose user rows are codes; the user with the code `order[row]` gets `row`."""
    row_of_code = np.empty(len(order), np.int32)
    row_of_code[order] = np.arange(len(order), dtype=np.int32)
    return Interactions(
        row_of_code[np.concatenate([part.user_rows for part in parts])],
        np.concatenate([part.item_rows for part in parts]),
        np.concatenate([part.ratings for part in parts]),
        np.concatenate([part.timestamps for part in parts]),
    )


class _Profiles:
    """What is known of users, repeated in each of their ratings; in some data sets nothing is."""

    def __init__(self, builder: tfds.core.DatasetBuilder) -> None:
        self.fields = [field for field in _PROFILE_COLUMNS if field in builder.info.features]
        if "raw_user_age" in self.fields and "bucketized_user_age" in self.fields:
            self.fields.remove("bucketized_user_age")
        self._values: list[tuple[object, ...]] = []

    def read(self, batch: dict[str, NDArray[np.generic]], users: list[int]) -> None:
        """Keeps the profiles of the codes that are new; codes count up from 0."""
        for row, code in enumerate(users):
            if code == len(self._values):
                self._values.append(tuple(batch[field][row] for field in self.fields))

    def columns(self, order: list[int]) -> dict[str, Column]:
        """Returns the profiles as columns, the user with the code `order[row]` in each row."""
        columns: dict[str, Column] = {}
        for place, field in enumerate(self.fields):
            values = [self._values[code][place] for code in order]
            name = _PROFILE_COLUMNS[field]
            if name == "age":
                columns[name] = Column("number", pa.array(np.array(values, np.float32)))
            elif name == "gender":
                columns[name] = category_column(["male" if value else "female" for value in values])
            else:
                columns[name] = category_column(
                    [value.decode() for value in values if isinstance(value, bytes)]
                )
        return columns


def _read_items(builder: tfds.core.DatasetBuilder) -> ItemTable:
    genre_names = builder.info.features["movie_genres"].feature.names
    rows: dict[str, tuple[str, list[str]]] = {}
    for batch in tfds.as_numpy(builder.as_dataset(split="train").ragged_batch(_ROWS_PER_READ)):
        # Reading single numbers out of a tensor would take minutes for a million items.
        splits = np.asarray(batch["movie_genres"].row_splits).tolist()
        genres = [genre_names[code] for code in np.asarray(batch["movie_genres"].values).tolist()]
        for row, item_id in enumerate(batch["movie_id"]):
            of_item = genres[splits[row] : splits[row + 1]]
            rows[item_id.decode()] = (batch["movie_title"][row].decode(), of_item)
    ids = sorted(rows, key=natural)
    titles = [rows[item_id][0] for item_id in ids]
    years = [int(found[1]) if (found := _YEAR.search(title)) else None for title in titles]
    columns = {
        "year": Column("number", pa.array(years, pa.int32())),
        "genres": category_column([rows[item_id][1] for item_id in ids]),
    }
    return ItemTable(ids, titles, columns)


def _batches(
    builder: tfds.core.DatasetBuilder, fields: dict[str, bool]
) -> Iterator[dict[str, NDArray[np.generic]]]:
    ratings = builder.as_dataset(split="train", decoders=tfds.decode.PartialDecoding(fields))
    yield from tfds.as_numpy(ratings.batch(_ROWS_PER_READ))
