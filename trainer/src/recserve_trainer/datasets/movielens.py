"""Finds or prepares what tensorflow_datasets keeps: MovieLens, and invented films and users."""

import contextlib
import io
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import checksums

from recserve_trainer.config import MOVIELENS, DatasetConfig
from recserve_trainer.datasets.synthetic import SyntheticSize, parse_size, synthetic_builder
from recserve_trainer.datasets.tfds_reading import read_examples
from recserve_trainer.errors import DatasetError
from recserve_trainer.interactions import Dataset
from recserve_trainer.progress import Progress

_MOVIELENS_URL: Final = "https://files.grouplens.org/datasets/movielens/"
_PROBE_TIMEOUT_S: Final = 4.0


@dataclass(frozen=True, slots=True)
class _Builders:
    name: str
    ratings: tfds.core.DatasetBuilder
    movies: tfds.core.DatasetBuilder

    def prepared(self) -> bool:
        return bool(self.ratings.is_prepared() and self.movies.is_prepared())


def load_prepared(config: DatasetConfig, progress: Progress) -> Dataset:
    """Finds, prepares if needed, and reads a dataset of tensorflow_datasets.

    Raises:
        DatasetError: nothing prepared and nothing to prepare from, or a broken archive.
    """
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    builders = _builders(_resolve_name(config, progress), config.data_dir)
    if not builders.prepared():
        _prepare(builders, config, progress)
    progress.note(f"reading {builders.name} {builders.ratings.version}")
    return read_examples(builders.name, builders.ratings, builders.movies)


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
