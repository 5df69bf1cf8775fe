"""`recserve-train benchmark` end to end: what it says of a small invented archive."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recserve_trainer.commands import benchmark
from recserve_trainer.datasets.movielens_archive import read_archive
from recserve_trainer.errors import TrainerError
from recserve_trainer.evaluation.metrics import Rankings, score_rankings
from recserve_trainer.evaluation.tasks import PROTOCOLS

pytestmark = pytest.mark.tensorflow

METRICS = ("ndcg@5", "recall@5", "precision@5", "map@5")


def run(archive: Path, *words: str) -> None:
    flags = ["--archive", str(archive), "--k", "5", *words]
    benchmark.run(benchmark.parser().parse_args(flags))


@pytest.fixture(scope="module")
def trained(small_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains by gradients once; returns the folder of all that was written."""
    folder = tmp_path_factory.mktemp("benchmark")
    files = ["--dump", str(folder / "lists.csv"), "--json", str(folder / "results.json")]
    settings = ["--set", "epochs=3", "--set", "embedding_dimension=8", "--model-seed", "7"]
    run(small_archive, "--seed", "1", "--models", str(folder / "models"), *settings, *files)
    return folder


def results(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text(encoding="utf-8"))


def means(task: dict, scorer: str) -> dict[str, float]:
    return {name: found["mean"] for name, found in task["scorers"][scorer]["metrics"].items()}


def test_the_rankings_that_were_dumped_have_the_metrics_that_were_told(
    small_archive: Path, trained: Path
) -> None:
    dataset = read_archive(small_archive)
    [task] = PROTOCOLS["item"](dataset, 1).tasks
    lists = np.full((len(dataset.users), 5), -1, np.int32)
    with (trained / "lists.csv").open(encoding="utf-8", newline="") as opened:
        for row in csv.DictReader(opened):
            user = dataset.users.ids.index(row["user"])
            lists[user, int(row["rank"]) - 1] = dataset.items.ids.index(row["item"])
    rankings = Rankings(task.user_rows, lists[task.user_rows])

    found = score_rankings(rankings, task.relevant, k=5)

    [told] = results(trained)["tasks"]
    expected = {name: values.mean() for name, values in found.by_name().items()}
    assert means(told, "model") == pytest.approx(expected)
    assert told["user_count"] == len(task.user_rows)


def test_no_list_holds_an_item_of_training_or_an_item_twice(
    small_archive: Path, trained: Path
) -> None:
    dataset = read_archive(small_archive)
    train = PROTOCOLS["item"](dataset, 1).split.train
    seen = {
        (dataset.users.ids[user], dataset.items.ids[item])
        for user, item in zip(train.user_rows, train.item_rows, strict=True)
    }
    with (trained / "lists.csv").open(encoding="utf-8", newline="") as opened:
        pairs = [(row["user"], row["item"]) for row in csv.DictReader(opened)]

    assert len(set(pairs)) == len(pairs)
    assert not seen & set(pairs)


def test_the_record_says_what_was_done_with_what(small_archive: Path, trained: Path) -> None:
    record = results(trained)

    split = PROTOCOLS["item"](read_archive(small_archive), 1).split
    assert record["schema"] == 1
    assert record["protocol"]["train_count"] == len(split.train)
    assert record["protocol"]["test_count"] == len(split.test)
    assert (record["protocol"]["seed"], record["protocol"]["k"]) == (1, 5)
    assert record["model"]["family"] == "collaborative"
    assert record["model"]["settings"]["seed"] == 7
    assert record["model"]["epochs"] == record["model"]["settings"]["epochs"] == 3
    assert record["published"] == []
    assert "tensorflow" in record["library_versions"]


def test_differences_are_those_of_the_means_and_lie_in_their_intervals(trained: Path) -> None:
    [task] = results(trained)["tasks"]

    assert list(task["scorers"]) == ["model", "popularity", "item-knn", "sar", "ials", "ease"]
    for name, differences in task["differences"].items():
        for metric in METRICS:
            found = differences[metric]
            expected = means(task, "model")[metric] - means(task, name)[metric]
            assert found["mean"] == pytest.approx(expected)
            assert found["low"] <= found["mean"] <= found["high"]


def test_the_model_is_kept_where_it_was_asked_for(trained: Path) -> None:
    [version] = (trained / "models" / "benchmark-item-collaborative").iterdir()

    manifest = json.loads((version / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["model"]["kind"] == "collaborative"
    assert manifest["dataset"]["split_sha256"] == results(trained)["protocol"]["split_sha256"]


@pytest.mark.parametrize("split", ["new-users", "new-both"])
def test_the_popularity_family_is_the_popularity_baseline_through_its_saved_model(
    small_archive: Path, tmp_path: Path, split: str
) -> None:
    file = tmp_path / "results.json"

    run(small_archive, "--model", "popularity", "--split", split, "--json", str(file))

    for task in json.loads(file.read_text())["tasks"]:
        assert means(task, "model") == means(task, "popularity")


def test_new_items_are_ranked_without_the_others_and_the_record_is_the_same_again(
    small_archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / "first.json", tmp_path / "again.json"]
    flags = ("--model", "popularity", "--split", "new-items", "--dump", str(tmp_path / "lists.csv"))
    for file in files:
        run(small_archive, *flags, "--json", str(file))

    held_out = PROTOCOLS["new-items"](read_archive(small_archive), 42).split.test.item_rows
    with (tmp_path / "lists.csv").open(encoding="utf-8", newline="") as opened:
        items = {int(row["item"]) - 1 for row in csv.DictReader(opened)}
    assert items == set(held_out.tolist())
    assert files[0].read_bytes() == files[1].read_bytes()
    shown = capsys.readouterr().out
    assert "new items among themselves" in shown
    assert "content-popularity" in shown


@pytest.mark.slow
@pytest.mark.long
def test_published_rows_are_shown_beside_the_same_models_recomputed(
    movielens_archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--archive", str(movielens_archive), "--model", "popularity", "--baselines", "sar"]

    benchmark.run(benchmark.parser().parse_args(flags))

    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["SAR", "*", "0.3938", "0.1854", "0.3406", "0.1140"] in rows
    [ours] = [row for row in rows if row[:2] == ["sar", "0.3938"]]
    assert ours[-3:] == ["0.1854", "0.3406", "0.1140"]


def test_a_broken_archive_is_told(write_archive: Callable[..., Path]) -> None:
    with pytest.raises(TrainerError, match=r"u\.data is empty"):
        run(write_archive(u_data=""))
