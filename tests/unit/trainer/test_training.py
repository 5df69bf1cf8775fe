"""When fitting stops and which epoch it keeps, with rankings that are known beforehand."""

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from recserve_trainer.config import DatasetConfig, SplitConfig, TrainConfig
from recserve_trainer.errors import TrainerError
from recserve_trainer.evaluation.split import Split, split_by_time
from recserve_trainer.families import training
from recserve_trainer.families.training import Fit
from recserve_trainer.fit_configs import CollaborativeConfig
from recserve_trainer.fit_settings import FitConfig
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.progress import Progress
from recserve_trainer.retrieval import Embeddings, RetrievalModel
from recserve_trainer.tables import ItemTable, UserTable

pytestmark = pytest.mark.tensorflow

ITEMS = 6


def one_user() -> tuple[Dataset, Split]:
    """A user who takes items 0, 1 and 2, in that order: 0 trains, 1 validates, 2 tests."""
    rows = np.arange(3, dtype=np.int32)
    taken = Interactions(np.zeros(3, np.int32), rows, np.ones(3, np.float32), np.arange(3))
    ids = [str(row) for row in range(ITEMS)]
    table = ItemTable(ids, ids)
    return Dataset("d", "1", UserTable(["u"]), table, taken), split_by_time(taken, SplitConfig())


def ranking_item_one_at(rank: int) -> Embeddings:
    """Vectors by which item 1 comes `rank`-th, after items 5, 4 and so on."""
    ahead = [ITEMS - 1 - place for place in range(rank - 1)]
    items = np.zeros((ITEMS, 1), np.float32)
    items[1] = 1
    items[ahead] = 2
    return Embeddings(np.ones((1, 1), np.float32), items)


def fit(
    monkeypatch: pytest.MonkeyPatch, logs_dir: Path, ranks: list[int], patience: int
) -> tuple[Fit, str]:
    """Fits a family whose n-th epoch ranks the validation item at `ranks[n - 1]`."""

    class Scripted:
        def __init__(self, dataset: Dataset, split: Split, config: FitConfig) -> None:
            self.epoch = 0

        def run_epoch(self) -> dict[str, float]:
            self.epoch += 1
            return {"loss": 1.0}

        def model(self) -> RetrievalModel:
            # Before the first epoch item 1 comes first: an untrained model must not be kept.
            return RetrievalModel(ranking_item_one_at(ranks[self.epoch - 1] if self.epoch else 1))

    monkeypatch.setitem(training.FAMILIES, "collaborative", Scripted)
    screen = StringIO()
    config = TrainConfig(
        dataset=DatasetConfig(data_dir=Path()),
        models_dir=Path(),
        fit=CollaborativeConfig(epochs=len(ranks), patience=patience),
    )
    progress = Progress(Console(file=screen, soft_wrap=True))
    return training.fit(*one_user(), config, logs_dir, progress), screen.getvalue()


@pytest.mark.parametrize(
    ("ranks", "patience", "best_epoch", "epoch_count"),
    [
        ([3, 1, 2, 2, 2, 2], 2, 2, 4),  # two epochs without a better one, then it stops
        ([3, 1, 2, 2, 2, 2], 1, 2, 3),
        ([4, 4, 4, 4], 2, 1, 3),  # as good is not better
        ([3, 4, 2, 4, 1, 4], 2, 5, 6),  # each better one starts the count anew
        ([4, 3, 2, 1], 1, 4, 4),  # better to the end: all epochs are used
    ],
)
def test_it_stops_when_patience_ends_and_keeps_the_best_epoch(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    ranks: list[int],
    patience: int,
    best_epoch: int,
    epoch_count: int,
) -> None:
    fitted, _ = fit(monkeypatch, tmp_path, ranks, patience)

    assert (fitted.best_epoch, fitted.epoch_count) == (best_epoch, epoch_count)
    best = ranking_item_one_at(ranks[best_epoch - 1])
    assert np.array_equal(fitted.model.embeddings.items, best.items)


def test_each_epoch_tells_its_own_ndcg_and_the_best_so_far(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _, said = fit(monkeypatch, tmp_path, [3, 1, 2], patience=5)

    # 1 / log2(1 + rank) for the one item to find: 0.5, 1 and 0.6309.
    values = [line.split("  ")[1] for line in said.splitlines()]
    assert values == [
        "validation nDCG@10 0.5000, best 0.5000",
        "validation nDCG@10 1.0000, best 1.0000",
        "validation nDCG@10 0.6309, best 1.0000",
    ]


def test_event_files_are_written_where_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fit(monkeypatch, tmp_path / "logs" / "run", [1], patience=1)

    [file] = (tmp_path / "logs" / "run").iterdir()
    assert file.name.startswith("events.out.tfevents.")
    content = file.read_bytes()
    for name in (b"loss", b"ndcg_at_10", b"coverage_at_10", b"epoch_seconds"):
        assert name in content


def test_logs_that_cannot_be_written_are_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "logs").write_text("a file")

    with pytest.raises(TrainerError, match=r"cannot write logs to .*: Not a directory"):
        fit(monkeypatch, tmp_path / "logs" / "run", [1], patience=1)
