"""A small published model of any family, whose items have attributes of every kind."""

import hashlib
import json
import signal
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from worlds import make_world

from recserve_trainer.__main__ import main
from recserve_trainer.artifact.export import Artifact, publish
from recserve_trainer.artifact.manifest import Origin, manifest_of
from recserve_trainer.evaluation.baselines import item_counts
from recserve_trainer.evaluation.metrics import RankingMetrics
from recserve_trainer.families.training import FAMILIES
from recserve_trainer.fit_configs import FIT_CONFIGS
from recserve_trainer.fit_settings import FitConfig
from recserve_trainer.interactions import Dataset, Histories
from recserve_trainer.retrieval import Ranker
from recserve_trainer.tables import Column, category_column, number_column

USERS, ITEMS = 40, 60
NAME = "world"
_SETTINGS = {
    "epochs": "6",
    "embedding_dimension": "8",
    "batch_size": "64",
    "learning_rate": "0.05",
    "seed": "1",
}


def dataset() -> Dataset:
    """The world of two tastes: items also have a year, a maker and a blurb."""
    world, _ = make_world(USERS, ITEMS)
    columns = world.items.columns | {
        "year": number_column([None if row == 3 else 1980 + row % 30 for row in range(ITEMS)]),
        "maker": category_column(["AB"[row % 4 // 2] for row in range(ITEMS)]),
        "blurb": Column("text", pa.array(["loud" if row % 3 else "calm" for row in range(ITEMS)])),
    }
    return replace(world, items=replace(world.items, columns=columns))


def publish_world(family: str, models_dir: Path, ranker: Ranker | None = None) -> Path:
    """Learns from the world and publishes what came of it as models_dir/world/1."""
    _, split = make_world(USERS, ITEMS)
    world, config = dataset(), _config(family)
    training = FAMILIES[family](world, split, config)
    for _ in range(config.epochs):
        training.run_epoch()
    model = training.model()
    model = replace(model, stages=replace(model.stages, ranker=ranker))
    metrics = RankingMetrics(
        user_count=USERS, k=10, recall=0.5, ndcg=0.25, hit_rate=0.75, coverage=0.5
    )
    origin = Origin(name=NAME, family=family, arguments=asdict(config), metrics={"model": metrics})
    artifact = Artifact(
        model=model,
        users=world.users,
        histories=Histories.rated(USERS, split.train),
        items=world.items,
        train_counts=item_counts(split.train, ITEMS).astype(np.int64),
        manifest=manifest_of(origin, model, world, split),
    )
    return publish(artifact, models_dir)


def _config(family: str) -> FitConfig:
    config = FIT_CONFIGS[family]()
    if config.epochs == 1:  # in closed form
        return config
    return config.with_settings(_SETTINGS)


def add_items(models_dir: Path, *arguments: str) -> int:
    """Runs the command on the world; names of files are those in the models folder."""
    words = [
        str(models_dir / word) if Path(word).suffix[1:].isalpha() else word for word in arguments
    ]
    handler = signal.getsignal(signal.SIGTERM)
    try:
        return main(["add-items", "--models", str(models_dir), "--name", NAME, *words])
    finally:
        signal.signal(signal.SIGTERM, handler)


def content_of(folder: Path) -> dict[str, str]:
    """Of every path below a folder what is there."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else ""
        for path in folder.rglob("*")
    }


def assert_refused(
    models_dir: Path, arguments: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Makes sure that the command fails with one line, and leaves no trace."""
    before = content_of(models_dir)

    assert add_items(models_dir, *arguments) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert [line for line in err.splitlines() if line.startswith("recserve-train")] == [
        f"recserve-train add-items: {said}"
    ]
    assert err.splitlines()[-1].endswith(said)
    assert content_of(models_dir) == before


@dataclass(frozen=True)
class Read:
    """A version as anybody may read it: files and signatures."""

    manifest: dict[str, Any]
    items: pa.Table
    users: pa.Table
    saved: Any

    @classmethod
    def of(cls, folder: Path) -> Self:
        return cls(
            json.loads((folder / "manifest.json").read_text()),
            *(pa.ipc.open_file(folder / f"{name}.arrow").read_all() for name in ("items", "users")),
            tf.saved_model.load(str(folder)),
        )

    @property
    def ids(self) -> list[str]:
        return self.items["item_id"].to_pylist()

    @property
    def item_vectors(self) -> np.ndarray:
        return self.saved.item_embeddings.numpy()

    @property
    def histories(self) -> list[list[tuple[str, float]]]:
        """Of every user the items with their ratings."""
        columns = (self.users[name].to_pylist() for name in ("history", "history_rating"))
        return [
            [(self.ids[row], rating) for row, rating in zip(rows, ratings, strict=True)]
            for rows, ratings in zip(*columns, strict=True)
        ]

    def rankings(self, excluded: Sequence[str] = ()) -> list[list[tuple[str, float]]]:
        """Of every user all items but the excluded ones, best first, with their scores."""
        rows = [self.ids.index(item_id) for item_id in excluded]
        pairs = [(position, row) for position in range(USERS) for row in rows]
        found = self.saved.signatures["recommend"](
            user_rows=tf.range(USERS),
            k=tf.constant(1000),
            excluded=tf.constant(np.array(pairs, np.int32).reshape(-1, 2)),
        )
        listed = zip(found["item_rows"].numpy(), found["scores"].numpy(), strict=True)
        return [
            [(self.ids[row], float(score)) for row, score in zip(*each, strict=True)]
            for each in (
                (rows[scores > -np.inf], scores[scores > -np.inf]) for rows, scores in listed
            )
        ]

    def embed(self, *histories: Sequence[str]) -> np.ndarray:
        """Queries of users of whom a history is all that is known."""
        pairs = [
            (position, self.ids.index(item_id))
            for position, history in enumerate(histories)
            for item_id in history
        ]
        features = self.manifest["model"].get("query_features", ())
        width = sum(2 if each["kind"] == "number" else len(each["vocabulary"]) for each in features)
        found = self.saved.signatures["embed_queries"](
            history=tf.constant(np.array(pairs, np.int32).reshape(-1, 2)),
            ratings=tf.fill([len(pairs)], np.nan),
            features=tf.zeros([len(histories), width]),
        )
        return found["embeddings"].numpy()
