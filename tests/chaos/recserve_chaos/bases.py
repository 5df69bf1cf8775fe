"""Trained models to publish under any version number, and what they must answer."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.ipc as ipc

NAME = "films"
DATASET = "recserve_synthetic/300x400x15000@1"
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Told:
    """A history that questions bring, and the user who brings it, "" for a stranger."""

    user_id: str
    item_ids: tuple[str, ...]
    ratings: tuple[float | None, ...]


@dataclass(frozen=True)
class Base:
    """One trained model: its tables, and the scores that its SavedModel gives."""

    folder: Path
    item_ids: tuple[str, ...]
    titles: tuple[str, ...]
    counts: np.ndarray
    years: np.ndarray
    """float [items], NaN where there is none."""
    genres: tuple[frozenset[str], ...]
    users: Mapping[str, int]
    histories: tuple[np.ndarray, ...]
    user_scores: np.ndarray
    """float32 [users, items]."""
    similarities: np.ndarray
    """float32 [items, items]."""
    told_scores: np.ndarray
    """float32 [histories of questions, items]."""

    @property
    def rows(self) -> dict[str, int]:
        """Rows of items by id."""
        return {item_id: row for row, item_id in enumerate(self.item_ids)}

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


def train(models_dir: Path, seeds: Sequence[int]) -> list[Path]:
    """Trains a model per seed, unless it is there already; returns the versions' folders."""
    folders = []
    for version, seed in enumerate(seeds, start=1):
        folder = models_dir / NAME / str(version)
        if not folder.exists():
            arguments = ("--dataset", DATASET, "--epochs", "4", "--seed", str(seed))
            places = ("--models", models_dir, "--name", NAME, "--data-dir", models_dir / ".data")
            _run("recserve_trainer", *arguments, *map(str, places))
        folders.append(folder)
    return folders


def work_out(folder: Path, told: Sequence[Told], scratch: Path) -> Base:
    """Reads a version's tables, and has its SavedModel score all that questions may ask."""
    scratch.mkdir(parents=True, exist_ok=True)
    asked, found = scratch / "told.json", scratch / "scores.npz"
    asked.write_text(json.dumps([[each.user_id, each.item_ids, each.ratings] for each in told]))
    _run("recserve_chaos.scores", str(folder), str(asked), str(found))
    items, users = table(folder, "items"), table(folder, "users")
    with np.load(found) as scores:
        return Base(
            folder=folder,
            item_ids=tuple(items["item_id"]),
            titles=tuple(items["title"]),
            counts=np.array(items["train_count"], np.float32),
            years=np.array([np.nan if year is None else year for year in items["year"]]),
            genres=tuple(frozenset(names or ()) for names in items["genres"]),
            users={user_id: row for row, user_id in enumerate(users["user_id"])},
            histories=tuple(np.array(rows, np.int32) for rows in users["history"]),
            user_scores=scores["users"],
            similarities=scores["similarities"],
            told_scores=scores["told"],
        )


def table(folder: Path, name: str) -> dict[str, list]:
    """Reads items.arrow or users.arrow, by column."""
    with (folder / f"{name}.arrow").open("rb") as source:
        return ipc.open_file(source).read_all().to_pydict()


def copy_as(folder: Path, version_dir: Path) -> None:
    """Copies a version under another number; it is not there until all of it is."""
    scratch = version_dir.with_name(f".tmp-{version_dir.name}")
    shutil.copytree(folder, scratch)
    renumber(scratch, int(version_dir.name))
    scratch.replace(version_dir)


def renumber(folder: Path, version: int) -> None:
    """Lets the manifest speak of another version."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "model_version": str(version)}))


def _run(module: str, *arguments: str) -> None:
    path = os.pathsep.join(filter(None, [str(_HERE.parent), os.environ.get("PYTHONPATH", "")]))
    ran = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=600,
    )
    if ran.returncode:
        raise RuntimeError(f"{module} ended with {ran.returncode}: {ran.stderr[-2000:]}")
