"""Searches for settings that rank the validation split better; can be interrupted and taken up.

Sampler: tree-structured Parzen estimator (Bergstra et al., "Algorithms for hyper-parameter
optimization", 2011), optuna's default. The first trial is the family's defaults.
"""

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from rich.console import Console

from recserve_trainer.config import TrainConfig
from recserve_trainer.datasets.load import load_dataset
from recserve_trainer.errors import TrainerError
from recserve_trainer.evaluation.split import Split, split_by_time, split_sha256
from recserve_trainer.families.training import K, fit
from recserve_trainer.fit_settings import FitConfig
from recserve_trainer.interactions import Dataset
from recserve_trainer.progress import Progress
from recserve_trainer.search_spaces import SEARCH_SPACES, Choice, SearchSpace


@dataclass(frozen=True, kw_only=True, slots=True)
class TuneConfig:
    """A search: what each trial trains, and how many there are."""

    train: TrainConfig
    """Dataset, split and settings; what is searched is replaced in each trial."""
    fixed: frozenset[str] = frozenset()
    """Names of settings that are not searched but kept as `train` has them."""
    study: Path
    """SQLite file that keeps the trials; a search that finds its own in it goes on."""
    trials: int = 30
    """How many to run, in addition to those of earlier runs."""
    timeout_s: float = math.inf
    """After so many seconds no further trial is begun."""

    def __post_init__(self) -> None:
        if self.train.model not in SEARCH_SPACES:
            families = ", ".join(SEARCH_SPACES)
            raise ValueError(f"there is nothing to tune in {self.train.model}, only in {families}")
        if not self.space:
            raise ValueError(f"all that can be tuned in {self.train.model} is given already")
        if self.trials < 1:
            raise ValueError(f"trials is {self.trials}, must be 1 or more")
        if not self.timeout_s > 0:
            raise ValueError(f"timeout is {self.timeout_s:g}, must be above 0")

    @property
    def space(self) -> SearchSpace:
        """What is searched."""
        space = SEARCH_SPACES[self.train.model]
        return {name: limits for name, limits in space.items() if name not in self.fixed}


@dataclass(frozen=True, slots=True)
class Found:
    """The best of all trials of a study, those of earlier runs included."""

    settings: Mapping[str, str]
    """What was searched, as `--set` takes it."""
    ndcg: float
    """Validation nDCG@10 of its best epoch."""
    trial_count: int
    """Finished trials."""


def tune(config: TuneConfig, progress: Progress) -> Found:
    """Runs trials until there have been enough, time is up, or Ctrl-C; keeps each one as it ends.

    The test split is taken off before anything else. A study is found again by family, training
    and validation interactions and the settings that are not searched; a file may hold several.

    Raises:
        DatasetError: there is nothing to train on.
        TrainerError: optuna is not installed, the file cannot be used, or no trial was finished.
        KeyboardInterrupt: interrupted before the first trial was finished.
    """
    optuna = _optuna()
    dataset, split = _without_test(config.train, progress)
    study = _Study(optuna, config, _study_name(config, dataset, split))
    study.tell_of_earlier(progress)
    deadline_s = time.monotonic() + config.timeout_s
    for _ in range(config.trials):
        if time.monotonic() >= deadline_s:
            progress.note(f"{config.timeout_s:g} s are over, no further trial is begun")
            break
        try:
            study.run_trial(lambda fit_config: _ndcg(config, fit_config, dataset, split), progress)
        except KeyboardInterrupt:
            progress.note(f"interrupted; the same command goes on from {config.study}")
            if not study.finished_count:
                raise
            break
    return study.found()


class _Study:
    """The trials in the file that belong to one search."""

    def __init__(self, optuna: ModuleType, config: TuneConfig, name: str) -> None:
        self._states, self._config = optuna.trial.TrialState, config
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            config.study.parent.mkdir(parents=True, exist_ok=True)
            self._study = optuna.create_study(
                study_name=name,
                storage=f"sqlite:///{config.study}",
                direction="maximize",
                load_if_exists=True,
            )
        except Exception as error:  # whatever SQLAlchemy, Alembic and SQLite may raise
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise TrainerError(f"cannot keep trials in {config.study}: {reason}") from error
        # A search that is taken up must not begin with the numbers that it began with before.
        self._study.sampler = optuna.samplers.TPESampler(
            seed=config.train.fit.seed + len(self._study.trials)
        )
        if not self._study.trials:
            defaults = {name: getattr(config.train.fit, name) for name in config.space}
            self._study.enqueue_trial(defaults)

    def tell_of_earlier(self, progress: Progress) -> None:
        """Says what was found already, if anything was."""
        if self.finished_count:
            progress.note(f"{self.finished_count} trials found in {self._config.study}")

    def run_trial(self, measure: Callable[[FitConfig], float], progress: Progress) -> None:
        """Draws settings, measures them and keeps the result."""
        trial = self._study.ask()
        settings = _suggest(trial, self._config.space)
        start_s = time.monotonic()
        try:
            ndcg = measure(self._config.train.fit.with_settings(settings))
        except BaseException:
            self._study.tell(trial, state=self._states.FAIL)
            raise
        trial.set_user_attr("settings", settings)
        self._study.tell(trial, ndcg)
        shown = " ".join(f"{name}={value}" for name, value in settings.items())
        progress.note(
            f"trial {trial.number + 1}  validation nDCG@{K} {ndcg:.4f}, best "
            f"{self._study.best_value:.4f}  {time.monotonic() - start_s:.1f} s  {shown}"
        )

    def found(self) -> Found:
        """Returns the best of the finished trials."""
        if not self.finished_count:
            raise TrainerError(f"no trial was finished in {self._config.timeout_s:g} s, give more")
        best = self._study.best_trial
        return Found(best.user_attrs["settings"], best.value, self.finished_count)

    @property
    def finished_count(self) -> int:
        """Trials with a result, those of earlier runs included."""
        return len(self._study.get_trials(deepcopy=False, states=[self._states.COMPLETE]))


def _optuna() -> ModuleType:
    try:
        import optuna
    except ImportError as error:
        raise TrainerError(
            "tuning needs optuna, which is not installed: pip install 'recserve-trainer[tune]'"
        ) from error
    return optuna


def _without_test(config: TrainConfig, progress: Progress) -> tuple[Dataset, Split]:
    dataset = load_dataset(config.dataset, progress)
    split = split_by_time(dataset.interactions, config.split)
    split = replace(split, test=split.test.take(np.empty(0, np.intp)))
    progress.note(
        f"interactions: {len(split.train):,} train, {len(split.validation):,} validation; "
        "the test split is not looked at"
    )
    return replace(dataset, interactions=split.train.joined(split.validation)), split


def _study_name(config: TuneConfig, dataset: Dataset, split: Split) -> str:
    settings = asdict(config.train.fit)
    kept = {name: value for name, value in settings.items() if name not in config.space}
    told = f"{split_sha256(dataset, split)} {sorted(kept.items())} {sorted(config.space)}"
    return f"{config.train.model} {hashlib.sha256(told.encode()).hexdigest()[:16]}"


def _suggest(trial: Any, space: SearchSpace) -> dict[str, str]:
    """Draws settings, as text that reads back as the very number that is tried."""
    settings = {}
    for name, limits in space.items():
        if isinstance(limits, Choice):
            settings[name] = str(trial.suggest_categorical(name, limits.values))
        else:
            drawn = trial.suggest_float(name, limits.least, limits.most, log=limits.logarithmic)
            settings[name] = f"{drawn:.3g}"
    return settings


def _ndcg(config: TuneConfig, fit_config: FitConfig, dataset: Dataset, split: Split) -> float:
    logs_dir = config.train.logs_dir or config.study.parent / "logs"
    run_name = f"tune-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    quiet = Progress(Console(quiet=True))
    fitted = fit(dataset, split, replace(config.train, fit=fit_config), logs_dir / run_name, quiet)
    return max(logged[f"ndcg@{K}"] for logged in fitted.curve)
