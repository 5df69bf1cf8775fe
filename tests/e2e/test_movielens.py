"""MovieLens 100K from training to the wire, where the data is present."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from recserve_client import AsyncRecommenderClient, Recommendation
from recserve_trainer.config import DatasetConfig, SplitConfig
from recserve_trainer.datasets.load import load_dataset
from recserve_trainer.evaluation.metrics import score_ranking
from recserve_trainer.evaluation.split import Split, split_by_time
from recserve_trainer.interactions import Dataset, Histories
from recserve_trainer.progress import Progress

pytestmark = [pytest.mark.tensorflow, pytest.mark.long, pytest.mark.timeout(300)]

EPOCHS = 8
MARGIN = 1.25


@dataclass(frozen=True)
class Served:
    address: str
    manifest: dict
    dataset: Dataset
    split: Split


@pytest.fixture(scope="module")
def served(
    serve: Callable[..., AbstractContextManager], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    data_dir = Path(os.environ.get("TFDS_DATA_DIR", ""))
    if not (data_dir / "movielens" / "100k-ratings").is_dir():
        pytest.skip("MovieLens 100K is not prepared here (TFDS_DATA_DIR)")
    models = tmp_path_factory.mktemp("movielens")
    command = [sys.executable, "-m", "recserve_trainer", "--dataset", "movielens/100k"]
    command += ["--models", str(models), "--epochs", str(EPOCHS)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert ran.returncode == 0, ran.stderr
    config = DatasetConfig(name="movielens/100k", data_dir=data_dir)
    dataset = load_dataset(config, Progress(Console(quiet=True)))
    with serve("--models", models) as program:
        yield Served(
            program.wait_for("serving").rpartition(" ")[2],
            json.loads((models / "films" / "1" / "manifest.json").read_text()),
            dataset,
            split_by_time(dataset.interactions, SplitConfig()),
        )
        assert program.stop() == 0


def test_the_model_beats_popularity_by_a_margin(served: Served) -> None:
    metrics = {each["scorer"]: each["metrics"] for each in served.manifest["evaluations"]}

    for name in ("recall@10", "ndcg@10"):
        assert metrics["model"][name] > MARGIN * metrics["popularity"][name]


def test_user_42_gets_ten_distinct_titled_films_not_seen_in_training(served: Served) -> None:
    command = [sys.executable, "-m", "recserve_client", "recommend", "--user", "42", "-k", "10"]
    ran = subprocess.run(
        [*command, "--json", "--target", served.address], capture_output=True, text=True
    )

    items = json.loads(ran.stdout)["items"]
    train, dataset = served.split.train, served.dataset
    seen_rows = train.item_rows[train.user_rows == dataset.user_ids.index("42")]
    seen = {dataset.items.ids[row] for row in seen_rows}
    assert len({item["item_id"] for item in items}) == 10
    assert all(item["title"] for item in items)
    assert len(seen) > 10
    assert not seen & {item["item_id"] for item in items}


async def test_what_is_served_is_what_was_tested(served: Served) -> None:
    dataset = served.dataset
    relevant = Histories.of(len(dataset.user_ids), served.split.test)
    row_of = {item_id: row for row, item_id in enumerate(dataset.items.ids)}
    permits = asyncio.Semaphore(64)

    async def ask(user_id: str) -> Recommendation:
        async with permits:
            return await client.recommend(user_id, k=10)

    async with AsyncRecommenderClient(served.address, timeout_s=30) as client:
        answers = await asyncio.gather(*map(ask, dataset.user_ids))

    rankings = [np.array([row_of[item.item_id] for item in answer], np.int32) for answer in answers]
    scored = [score_ranking(ranking, relevant[user]) for user, ranking in enumerate(rankings)]
    recall, ndcg = np.mean(scored, axis=0)
    [tested] = [each for each in served.manifest["evaluations"] if each["scorer"] == "model"]
    assert recall == pytest.approx(tested["metrics"]["recall@10"], abs=1e-3)
    assert ndcg == pytest.approx(tested["metrics"]["ndcg@10"], abs=1e-3)
