import sys
from dataclasses import fields, replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from recserve_trainer import tuning
from recserve_trainer.config import DatasetConfig, SplitConfig, TrainConfig
from recserve_trainer.errors import TrainerError
from recserve_trainer.evaluation.split import split_by_time
from recserve_trainer.fit_configs import (
    FIT_CONFIGS,
    FitConfig,
    HistoryConfig,
    PopularityConfig,
)
from recserve_trainer.interactions import Dataset, Interactions
from recserve_trainer.progress import Progress
from recserve_trainer.search_spaces import SEARCH_SPACES, Choice
from recserve_trainer.tables import ItemTable, UserTable
from recserve_trainer.tuning import Found, TuneConfig, tune

pytestmark = pytest.mark.tensorflow

USERS, ITEMS, EACH = 20, 16, 6
DEFAULTS = HistoryConfig()
SEARCHED = ("blend", "ease_l2")
FIRST = f"blend={DEFAULTS.blend:.3g} ease_l2={DEFAULTS.ease_l2:.3g}"


def tastes() -> Dataset:
    """Even users take even items, odd users odd ones, one a second."""
    random = np.random.default_rng(0)
    items = [2 * random.permutation(ITEMS // 2)[:EACH] + user % 2 for user in range(USERS)]
    interactions = Interactions(
        np.repeat(np.arange(USERS, dtype=np.int32), EACH),
        np.concatenate(items).astype(np.int32),
        np.ones(USERS * EACH, np.float32),
        np.tile(np.arange(EACH), USERS),
    )
    ids = [str(row) for row in range(USERS)]
    return Dataset("d", "1", UserTable(ids), ItemTable(ids[:ITEMS], ids[:ITEMS]), interactions)


def search(folder: Path, trials: int = 2, fit: FitConfig = DEFAULTS, **given: object) -> TuneConfig:
    train = TrainConfig(dataset=DatasetConfig(data_dir=folder), models_dir=folder, fit=fit)
    fixed = frozenset(SEARCH_SPACES["history"]) - set(SEARCHED)
    return TuneConfig(train=train, fixed=fixed, study=folder / "tune.db", trials=trials, **given)


def run(
    config: TuneConfig, monkeypatch: pytest.MonkeyPatch, dataset: Dataset | None = None
) -> tuple[Found, list[str]]:
    """Searches on `dataset`, as if it had been read; returns also the trials' lines."""
    monkeypatch.setattr(tuning, "load_dataset", lambda *_: dataset or tastes())
    screen = StringIO()
    found = tune(config, Progress(Console(file=screen, soft_wrap=True)))
    lines = [line for line in screen.getvalue().splitlines() if line.startswith("trial ")]
    return found, lines


def without_seconds(lines: list[str]) -> list[str]:
    return ["  ".join(part for part in line.split("  ") if part[-2:] != " s") for line in lines]


@pytest.mark.long
def test_a_search_taken_up_goes_on_with_the_trials_that_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, earlier = run(search(tmp_path), monkeypatch)
    second, later = run(search(tmp_path, trials=1), monkeypatch)

    assert [line.split()[1] for line in earlier + later] == ["1", "2", "3"]
    assert (first.trial_count, second.trial_count) == (2, 3)
    assert second.ndcg >= first.ndcg > 0
    drawn = {line.split("  ")[-1] for line in earlier + later}
    assert len(drawn) == 3  # it does not draw again what it has drawn
    assert FIRST in earlier[0]  # the defaults come first


@pytest.mark.long
def test_the_test_split_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = tastes()
    newest = dataset.interactions.timestamps == EACH - 1
    assert newest.sum() == len(split_by_time(dataset.interactions, SplitConfig()).test)
    items = np.where(newest, 0, dataset.interactions.item_rows).astype(np.int32)
    corrupted = replace(dataset, interactions=replace(dataset.interactions, item_rows=items))

    found, lines = run(search(tmp_path / "one"), monkeypatch, dataset)
    found_again, lines_again = run(search(tmp_path / "other"), monkeypatch, corrupted)

    assert found == found_again
    assert without_seconds(lines) == without_seconds(lines_again)


def test_other_settings_or_other_data_are_another_search_in_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(search(tmp_path, trials=1), monkeypatch)

    others, _ = run(
        search(tmp_path, trials=1, fit=replace(DEFAULTS, ials_iterations=1)), monkeypatch
    )

    assert others.trial_count == 1


def test_an_interrupted_search_keeps_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure, calls = tuning._ndcg, []

    def interrupted_at_the_second(*arguments: object) -> float:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return measure(*arguments)

    monkeypatch.setattr(tuning, "_ndcg", interrupted_at_the_second)
    found, lines = run(search(tmp_path, trials=5), monkeypatch)

    assert found.trial_count == len(lines) == 1
    assert [f"{name}={value}" for name, value in found.settings.items()] == FIRST.split()


def test_no_trial_is_begun_after_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainerError, match="no trial was finished in 1e-09 s"):
        run(search(tmp_path, timeout_s=1e-9), monkeypatch)


def test_without_optuna_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)

    with pytest.raises(TrainerError, match=r"pip install 'recserve-trainer\[tune\]'"):
        run(search(tmp_path), monkeypatch)


def test_a_file_that_is_no_study_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tune.db").write_text("a text, not a database; " * 100)

    with pytest.raises(TrainerError, match=r"cannot keep trials in .*tune\.db: \S.*") as caught:
        run(search(tmp_path), monkeypatch)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", SEARCH_SPACES)
def test_each_space_is_of_settings_that_the_family_takes(family: str) -> None:
    config = FIT_CONFIGS[family]()
    for name, limits in SEARCH_SPACES[family].items():
        default = getattr(config, name)
        if isinstance(limits, Choice):
            ends = limits.values
            assert default in limits.values
        else:
            ends = (limits.least, limits.most)
            assert limits.least <= default <= limits.most
            assert isinstance(default, float)
        for value in ends:
            config.with_settings({name: str(value)})
        assert name in {field.name for field in fields(config)}


def test_a_family_without_anything_to_find_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is nothing to tune in popularity"):
        search(tmp_path, fit=PopularityConfig())
