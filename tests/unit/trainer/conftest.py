"""An archive in the format of MovieLens 100K, with an invented world of two tastes in it."""

import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent))  # for worlds.py

GENRES = ("unknown", "Action", "Children's", "Drama")
USERS, ITEMS = 40, 30


def archive_files() -> dict[str, str]:
    """The members of a sound archive by name: users and films of even and of odd ids agree."""
    random = np.random.default_rng(0)
    ratings = []
    for user in range(1, USERS + 1):
        likes = np.arange(1, ITEMS + 1)
        odds = np.where(likes % 2 == user % 2, 6.0, 1.0) / likes**0.3
        count = int(random.integers(12, 19))
        for item in random.choice(likes, count, replace=False, p=odds / odds.sum()):
            second = 900_000_000 + int(random.integers(0, 10_000_000))
            ratings.append(f"{user}\t{item}\t{random.integers(1, 6)}\t{second}")
    order = random.permutation(len(ratings))
    lines = [ratings[place] for place in order]
    flags = {1: "0|1|0|0", 0: "0|0|1|1"}
    items = [
        f"{item}|Fîlm {item} ({1990 + item % 7})|01-Jan-1995||http://films/{item}|{flags[item % 2]}"
        for item in range(1, ITEMS + 1)
    ]
    users = [
        f"{user}|{20 + user}|{'MF'[user % 2]}|{('writer', 'other')[user % 2]}|0000{user}"
        for user in range(1, USERS + 1)
    ]
    return {
        "u.data": "\n".join(lines) + "\n",
        "u.item": "\n".join(items) + "\n",
        "u.user": "\n".join(users) + "\n",
        "u.genre": "".join(f"{name}|{code}\n" for code, name in enumerate(GENRES)) + "\n",
        "u1.base": "\n".join(lines[:400]) + "\n",
        "u1.test": "\n".join(lines[400:]) + "\n",
    }


def _write(path: Path, files: dict[str, str | None]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            if text is not None:
                archive.writestr(f"ml-100k/{name}", text.encode("latin-1"))
    return path


@pytest.fixture
def write_archive(tmp_path: Path) -> Callable[..., Path]:
    """Returns what writes an archive, some of its members replaced, or left out by None."""

    def write(**replaced: str | None) -> Path:
        changes = {name.replace("_", "."): text for name, text in replaced.items()}
        return _write(tmp_path / "ml-100k.zip", {**archive_files(), **changes})

    return write


@pytest.fixture(scope="session")
def small_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _write(tmp_path_factory.mktemp("archive") / "ml-100k.zip", {**archive_files()})


@pytest.fixture(scope="session")
def movielens_archive() -> Path:
    """The real archive, or none of the tests that need it."""
    path = Path(os.environ.get("RECSERVE_ARCHIVE", ""))
    if not path.is_file():
        pytest.skip(
            "the MovieLens archive is not here, its licence forbids to ship it (RECSERVE_ARCHIVE)"
        )
    return path
