"""Reads MovieLens 100K straight from GroupLens' archive, ratings in the order of its file.

Published protocols draw their splits by the order of `u.data`, which a prepared dataset has lost.
Format: the README inside the archive.
"""

import hashlib
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from recserve_trainer.errors import DatasetError
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.tables import Column, ItemTable, UserTable, category_column

RATING_SPLITS: Final = ("u1", "u2", "u3", "u4", "u5", "ua", "ub")
"""Splits that come with the archive: u1 to u5 are five folds of 80/20, ua and ub have 10 test
ratings per user."""
_YEAR: Final = re.compile(r"\((\d{4})\)")
_RATING: Final = re.compile(r"(\d+)\t(\d+)\t(\d+(?:\.\d+)?)\t(\d+)")
_GENDERS: Final = {"M": "male", "F": "female"}
_FLAGS_START: Final = 5
"""Fields of `u.item` before the genre flags: id, title, release, video release, URL."""


def read_archive(archive: Path) -> Dataset:
    """Reads users, films and all ratings.

    Users have age, gender and occupation; films have year, from the title, and genres, by the names
    in `u.genre`. Ids stand in numeric order; the version is a digest of the ratings.

    Raises:
        DatasetError: the archive is absent or broken, or is another dataset.
    """
    users = _users(_lines(archive, "u.user"))
    items = _items(_lines(archive, "u.item"), _genre_names(_lines(archive, "u.genre")))
    lines = _lines(archive, "u.data")
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return Dataset(
        name="movielens/100k",
        version=f"archive-{digest[:12]}",
        users=users,
        items=items,
        interactions=_interactions("u.data", lines, users.ids, items.ids),
    )


def read_rating_split(
    archive: Path, name: str, dataset: Dataset
) -> tuple[Interactions, Interactions]:
    """Reads one of the archive's own splits, `NAME.base` and `NAME.test`.

    Args:
        archive: the file that `dataset` was read from.
        name: one of `RATING_SPLITS`.
        dataset: gives the rows of users and items.

    Returns:
        The training and the test interactions, each in the order of its file.

    Raises:
        DatasetError: no such split, or a broken one.
    """
    if name not in RATING_SPLITS:
        raise DatasetError(f"there is no split {name!r}, only {', '.join(RATING_SPLITS)}")
    user_ids, item_ids = dataset.users.ids, dataset.items.ids
    base, test = f"{name}.base", f"{name}.test"
    return (
        _interactions(base, _lines(archive, base), user_ids, item_ids),
        _interactions(test, _lines(archive, test), user_ids, item_ids),
    )


def _lines(archive: Path, name: str) -> list[str]:
    """Returns the lines of one member, in whatever folder of the archive it is; empty ones out."""
    try:
        with zipfile.ZipFile(archive) as opened:
            found = [each for each in opened.namelist() if each.rpartition("/")[2] == name]
            if not found:
                raise DatasetError(f"{archive} holds no {name}, so it is not MovieLens 100K")
            content = opened.read(found[0])
    except FileNotFoundError:
        raise DatasetError(f"archive {archive} does not exist") from None
    except (OSError, zipfile.BadZipFile) as error:
        raise DatasetError(f"archive {archive} cannot be read: {error}") from error
    return [line for line in content.decode("latin-1").split("\n") if line.strip()]


def _fields(name: str, lines: Sequence[str], count: int) -> Iterator[list[str]]:
    for number, line in enumerate(lines, start=1):
        fields = line.rstrip("\r").split("|")
        if len(fields) != count or not fields[0].isdigit():
            raise DatasetError(
                f"{name} line {number} has {len(fields)} fields, must be {count} separated by "
                f"'|' and start with a number: {line[:60]!r}"
            )
        yield fields


def _users(lines: Sequence[str]) -> UserTable:
    rows = sorted(_fields("u.user", lines, 5), key=lambda fields: int(fields[0]))
    ids = _distinct("u.user", [fields[0] for fields in rows])
    for _, age, gender, *_ in rows:
        if not age.isdigit() or gender not in _GENDERS:
            raise DatasetError(f"u.user has age {age!r} and gender {gender!r}, must be years, M/F")
    ages = np.array([int(fields[1]) for fields in rows], np.float32)
    return UserTable(
        ids,
        {
            "age": Column("number", pa.array(ages)),
            "gender": category_column([_GENDERS[fields[2]] for fields in rows]),
            "occupation": category_column([fields[3] for fields in rows]),
        },
    )


def _genre_names(lines: Sequence[str]) -> list[str]:
    pairs = sorted((int(code), name) for name, code in _genre_pairs(lines))
    if [code for code, _ in pairs] != list(range(len(pairs))):
        raise DatasetError(
            f"u.genre has the codes {[code for code, _ in pairs]}, must count from 0"
        )
    return [name for _, name in pairs]


def _genre_pairs(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(lines, start=1):
        name, separator, code = line.strip().partition("|")
        if not separator or not code.isdigit():
            raise DatasetError(f"u.genre line {number} is {line!r}, must be NAME|CODE")
        yield name, code


def _items(lines: Sequence[str], genre_names: Sequence[str]) -> ItemTable:
    width = _FLAGS_START + len(genre_names)
    rows = sorted(_fields("u.item", lines, width), key=lambda fields: int(fields[0]))
    ids = _distinct("u.item", [fields[0] for fields in rows])
    titles = [fields[1].strip() for fields in rows]
    # The last one: some titles end in "(1995) (V)".
    years = [int(found[-1]) if (found := _YEAR.findall(title)) else None for title in titles]
    genres = [
        [name for name, flag in zip(genre_names, fields[_FLAGS_START:], strict=True) if flag == "1"]
        for fields in rows
    ]
    columns = {"year": Column("number", pa.array(years, pa.int32()))}
    return ItemTable(ids, titles, {**columns, "genres": category_column(genres)})


def _distinct(name: str, ids: list[str]) -> list[str]:
    if len(set(ids)) < len(ids):
        raise DatasetError(f"{name} has {len(ids)} lines for {len(set(ids))} ids, must be one each")
    if not ids:
        raise DatasetError(f"{name} is empty")
    return ids


def _interactions(
    name: str, lines: Sequence[str], user_ids: Sequence[str], item_ids: Sequence[str]
) -> Interactions:
    if not lines:
        raise DatasetError(f"{name} is empty")
    user_row_of = {user: row for row, user in enumerate(user_ids)}
    item_row_of = {item: row for row, item in enumerate(item_ids)}
    rows: list[tuple[int, int, float, int]] = []
    for number, line in enumerate(lines, start=1):
        fields = _RATING.fullmatch(line.rstrip("\r"))
        if fields is None:
            raise DatasetError(
                f"{name} line {number} is {line[:60]!r}, must be user, item, rating and seconds, "
                "separated by tabs"
            )
        user, item, rating, seconds = fields.groups()
        if user not in user_row_of or item not in item_row_of:
            raise DatasetError(
                f"{name} line {number} rates item {item} by user {user}; u.item and u.user do not "
                "know both"
            )
        rows.append((user_row_of[user], item_row_of[item], float(rating), int(seconds)))
    users, items, ratings, seconds_of = zip(*rows, strict=True)
    return Interactions(
        np.array(users, np.int32),
        np.array(items, np.int32),
        np.array(ratings, np.float32),
        np.array(seconds_of, np.int64),
    )
