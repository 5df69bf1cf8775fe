"""Reads datasets through tensorflow_datasets into plain arrays; the only module that reads them."""

import contextlib
import io
import re
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import tensorflow_datasets as tfds
from numpy.typing import NDArray
from tensorflow_datasets.core.download import checksums

from recserve_trainer.config import MOVIELENS, DatasetConfig
from recserve_trainer.datasets.synthetic import SyntheticSize, parse_size, synthetic_builder
from recserve_trainer.errors import DatasetError
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.progress import Progress
from recserve_trainer.tables import Column, ItemTable, UserTable, category_column

_MOVIELENS_URL: Final = "https://files.grouplens.org/datasets/movielens/"
_PROBE_TIMEOUT_S: Final = 4.0
_ROWS_PER_READ: Final = 65_536
_PROFILE_COLUMNS: Final = {
    "raw_user_age": "age",
    "bucketized_user_age": "age",
    "user_gender": "gender",
    "user_occupation_text": "occupation",
}
_YEAR: Final = re.compile(r"\((\d{4})\)\s*$")


@dataclass(frozen=True, slots=True)
class _Builders:
    name: str
    ratings: tfds.core.DatasetBuilder
    movies: tfds.core.DatasetBuilder

    def prepared(self) -> bool:
        return bool(self.ratings.is_prepared() and self.movies.is_prepared())


def load_dataset(config: DatasetConfig, progress: Progress) -> Dataset:
    """Finds, prepares if needed, and reads a dataset.

    Raises:
        DatasetError: nothing prepared and nothing to prepare from, or a broken archive.
    """
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    builders = _builders(_resolve_name(config, progress), config.data_dir)
    if not builders.prepared():
        _prepare(builders, config, progress)
    progress.note(f"reading {builders.name} {builders.ratings.version}")
    return _read(builders)


def _resolve_name(config: DatasetConfig, progress: Progress) -> str:
    if config.name != "auto":
        return config.name
    if config.archive is not None:
        return _of_archive(config.archive)
    if _builders("movielens/100k", config.data_dir).prepared():
        progress.note("dataset: movielens/100k, already prepared")
        return "movielens/100k"
    if _host_answers():
        progress.note("dataset: movielens/100k, to be downloaded from files.grouplens.org")
        return "movielens/100k"
    progress.note(
        "dataset: recserve_synthetic, invented films and users, because MovieLens 100K is not "
        "prepared here and files.grouplens.org cannot be reached"
    )
    return "recserve_synthetic"


def _of_archive(archive: Path) -> str:
    name = f"movielens/{archive.stem.removeprefix('ml-')}"
    if name not in MOVIELENS:
        raise DatasetError(
            f"{archive.name} does not tell which dataset it is; give --dataset, one of "
            f"{', '.join(MOVIELENS)}"
        )
    return name


def _builders(name: str, data_dir: Path) -> _Builders:
    family, _, version = name.partition("/")
    try:
        if family == "recserve_synthetic":
            size = parse_size(version) if version else SyntheticSize()
            return _Builders(
                f"{family}/{size.name}",
                synthetic_builder(size, "ratings", data_dir),
                synthetic_builder(size, "movies", data_dir),
            )
        return _Builders(
            name,
            tfds.builder(f"{name}-ratings", data_dir=data_dir),
            tfds.builder(f"{name}-movies", data_dir=data_dir),
        )
    except (ValueError, OSError) as error:
        raise DatasetError(f"{name} in {data_dir}: {error}") from error


def _host_answers() -> bool:
    # tensorflow_datasets would retry for minutes before it gave up.
    request = urllib.request.Request(f"{_MOVIELENS_URL}ml-100k.zip", method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=_PROBE_TIMEOUT_S) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def _prepare(builders: _Builders, config: DatasetConfig, progress: Progress) -> None:
    with _archive_in_place(builders, config, progress) as manual_dir:
        for builder in (builders.movies, builders.ratings):
            progress.note(f"preparing {builder.info.full_name} in {config.data_dir}")
            try:
                # Its bars go to standard error; what it prints besides says less than our note.
                with contextlib.redirect_stdout(io.StringIO()):
                    builder.download_and_prepare(
                        download_config=tfds.download.DownloadConfig(manual_dir=manual_dir)
                    )
            except Exception as error:
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise DatasetError(f"preparing {builders.name} failed: {reason}") from error


@contextlib.contextmanager
def _archive_in_place(
    builders: _Builders, config: DatasetConfig, progress: Progress
) -> Iterator[Path | None]:
    """Yields a folder that holds the archive under the file name that TFDS looks for."""
    if not builders.name.startswith("movielens/"):
        yield None
        return
    file_name = f"ml-{builders.name.removeprefix('movielens/')}.zip"
    if config.archive is None:
        if not _host_answers():
            raise DatasetError(
                f"{builders.name} is not prepared in {config.data_dir} and files.grouplens.org "
                f"cannot be reached; give --archive {file_name}, another --data-dir, or --dataset "
                "recserve_synthetic"
            )
        yield None
        return
    if not config.archive.is_file():
        raise DatasetError(f"archive {config.archive} does not exist")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / file_name
        shutil.copyfile(config.archive, copy)
        _accept(copy, builders.ratings, progress)
        yield Path(folder)


def _accept(archive: Path, builder: tfds.core.DatasetBuilder, progress: Progress) -> None:
    # TFDS takes an archive only with the checksum it knows; one that was packed anew has another,
    # and the same files.
    url, given = _MOVIELENS_URL + archive.name, checksums.compute_url_info(archive)
    known = checksums.get_all_url_infos()
    if known[url] != given:
        progress.note(f"{archive.name} is not the published file byte for byte; taking it as it is")
    known[url] = given
    if builder.url_infos is not None:  # it goes before the others
        builder.url_infos[url] = given


def _read(builders: _Builders) -> Dataset:
    items = _read_items(builders.movies)
    item_row_of = {item_id: row for row, item_id in enumerate(items.ids)}
    user_codes: dict[bytes, int] = {}
    columns: list[Interactions] = []
    profiles = _Profiles(builders.ratings)
    # Without the genres, lists of any length, examples are read in batches.
    fields = ["user_id", "movie_id", "user_rating", "timestamp", *profiles.fields]
    for batch in _batches(builders.ratings, dict.fromkeys(fields, True)):
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
        raise DatasetError(f"{builders.name} holds no ratings")
    user_ids = [user.decode() for user in user_codes]
    order = sorted(range(len(user_ids)), key=lambda code: _natural(user_ids[code]))
    row_of_code = np.empty(len(order), np.int32)
    row_of_code[order] = np.arange(len(order), dtype=np.int32)
    return Dataset(
        name=builders.name,
        version=str(builders.ratings.version),
        users=UserTable([user_ids[code] for code in order], profiles.columns(order)),
        items=items,
        interactions=Interactions(
            row_of_code[np.concatenate([part.user_rows for part in columns])],
            np.concatenate([part.item_rows for part in columns]),
            np.concatenate([part.ratings for part in columns]),
            np.concatenate([part.timestamps for part in columns]),
        ),
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
    ids = sorted(rows, key=_natural)
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


def _natural(identifier: str) -> tuple[int, int, str]:
    """Orders "9" before "10", and numbers before words."""
    if identifier.isascii() and identifier.isdigit():
        return 0, int(identifier), identifier
    return 1, 0, identifier
