"""A whole load test: its stages or its search, one after the other, to one result."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Protocol

from recserve_client._errors import RecommenderError

from . import host
from .conditions import Objective, judge
from .fleet import Fleet
from .plan import Arrivals, Endpoint, OpenLoop, Question, Stage
from .result import Run, Search, StageResult, Window
from .search import Searched, SearchPlan, search
from .server_metrics import MetricsReader
from .stability import is_stable
from .traffic.answers import read_answers
from .traffic.population import Found

_LONGEST_FACTOR: Final = 5
"""How many times longer than asked for a stage may become until it is stable."""
_LONGEST_S: Final = 86_400.0


class Watcher(Protocol):
    """What looks on."""

    def stage_started(self, stage: Stage, number: int) -> None:
        """Is told what begins; `number` counts from 1."""

    def window_ended(self, window: Window) -> None:
        """Is told of each second of the measured time."""

    def stage_ended(self, result: StageResult) -> None:
        """Is told what came of a stage."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadPlan:
    """What is run, and how."""

    endpoint: Endpoint
    """Whom to ask."""
    stages: tuple[Stage, ...]
    """What to run; of a search, one that says how long each try is."""
    processes: int = 1
    """Processes that send."""
    seed: int = 1
    """Draws arrivals."""
    until_stable: bool = False
    """Whether a stage goes on until its p99 has settled, up to five times as long."""
    objective: Objective | None = None
    """What a search keeps; None means that the stages are run as they are."""
    search: SearchPlan = field(default_factory=SearchPlan)
    """Where a search looks."""
    conditions: tuple[str, ...] = ()
    """By which the run fails."""
    times_s: tuple[float, ...] = ()
    """When recorded calls leave."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What is put into the result besides."""

    arguments: tuple[str, ...]
    """The command line, without secrets."""
    mix: str
    """What is asked, in a line."""


class Session:
    """Runs a plan."""

    broken_off: str = ""
    """Why it ended before its time though some stages had ended; empty if it did not."""

    def __init__(
        self, plan: LoadPlan, found: Found, metrics: MetricsReader | None, watcher: Watcher
    ) -> None:
        self._plan, self._found = plan, found
        self._metrics, self._watcher = metrics, watcher
        self._results: list[StageResult] = []

    def run(self, questions: Sequence[Question], told: Told) -> Run:
        """Runs everything; what has ended before an interruption is worth a result.

        Raises:
            PlanError: it cannot be run like this.
            RecommenderError: the server cannot be reached, or a process of ours ended.
            KeyboardInterrupt: it came before the end of the first stage.
        """
        plan, started_at = self._plan, datetime.now(UTC)
        doubts = _doubts_of_machine(plan.endpoint)
        try:
            self._run_stages(questions)
        except (KeyboardInterrupt, RecommenderError) as error:
            if not self._results:
                raise
            self.broken_off = str(error) or "interrupted"
            doubts.append(f"{self.broken_off}: what had not ended by then is left out")
        searched, versions = self._searched(), host.versions()
        return Run(
            tool=f"recserve {versions.get('recserve-client', '')}".strip(),
            started_at=started_at.isoformat(timespec="seconds"),
            arguments=told.arguments,
            seed=plan.seed,
            host=host.this_host(),
            versions=versions,
            server=self._found.server,
            mix=told.mix,
            stages=tuple(self._results),
            search=searched,
            conditions=judge(plan.conditions, self._judged(searched)),
            warnings=(*self._found.warnings, *doubts),
        )

    def _run_stages(self, questions: Sequence[Question]) -> None:
        plan = self._plan
        with Fleet(plan.endpoint, questions, processes=plan.processes, seed=plan.seed) as fleet:
            if plan.objective is not None:
                self._search(fleet, plan.objective)
                return
            for stage in plan.stages:
                self._stage(fleet, stage)

    def _judged(self, searched: Search | None) -> Sequence[StageResult]:
        """Conditions are about what was asked for: of a search, the rate that it found."""
        if searched is None:
            return self._results
        return [each for each in self._results if each.rate_per_s == searched.rate_per_s][-1:] or (
            self._results[-1:]
        )

    def _search(self, fleet: Fleet, objective: Objective) -> None:
        template = self._plan.stages[0]

        def holds(rate_per_s: float) -> bool:
            assert isinstance(template.pressure, OpenLoop), "a search is an open loop"
            pressure = replace(template.pressure, rate_per_s=rate_per_s)
            return bool(self._stage(fleet, replace(template, pressure=pressure), objective).holds)

        search(self._plan.search, holds)

    def _searched(self) -> Search | None:
        """Returns what a search found, by its stages: also of one that was broken off."""
        if self._plan.objective is None:
            return None
        found = Searched()
        for each in self._results:
            found.note(each.rate_per_s or 0.0, bool(each.holds))
        return Search(
            objective=str(self._plan.objective),
            rate_per_s=found.best_per_s,
            refused_rate_per_s=found.refused_per_s,
        )

    def _stage(self, fleet: Fleet, stage: Stage, objective: Objective | None = None) -> StageResult:
        self._watcher.stage_started(stage, len(self._results) + 1)
        watched = _Windows(stage.seconds, self._metrics, self._watcher)
        should_stop: Callable[[], bool] | None = None
        if self._plan.until_stable and _is_steady(stage):
            stage = replace(stage, seconds=min(_LONGEST_S, _LONGEST_FACTOR * stage.seconds))
            should_stop = watched.settle
        if self._metrics is not None:
            self._metrics.begin()
        result = fleet.run(
            stage, on_window=watched.add, should_stop=should_stop, times_s=self._plan.times_s
        )
        result = replace(
            result,
            windows=tuple(watched.windows.get(each.start_s, each) for each in result.windows),
            batch_sizes=() if self._metrics is None else self._metrics.sizes(),
            answers=read_answers(fleet.samples),
            stable=watched.settled or (is_stable(result.windows) if _is_steady(stage) else None),
            holds=None if objective is None else objective.holds(result),
        )
        result = replace(result, warnings=(*result.warnings, *_doubts_of(result)))
        self._results.append(result)
        self._watcher.stage_ended(result)
        return result


@dataclass(slots=True)
class _Windows:
    """The windows of a stage so far, with what the server's metrics told of each."""

    seconds: float
    metrics: MetricsReader | None
    watcher: Watcher
    windows: dict[float, Window] = field(default_factory=dict)
    settled: bool = False
    """Whether the last `seconds` seconds were stable when it was looked at."""
    _judged_count: int = 0

    def add(self, window: Window) -> None:
        """Takes the next one."""
        if self.metrics is not None:
            mean, depth = self.metrics.since_last()
            window = replace(window, mean_batch_size=mean, queue_depth=depth)
        self.windows[window.start_s] = window
        self.watcher.window_ended(window)

    def settle(self) -> bool:
        """Looks whether the stage has settled, if there is something new; it stays so."""
        if not self.settled and len(self.windows) > self._judged_count:
            self._judged_count = len(self.windows)
            wanted = max(3, round(self.seconds))
            last = list(self.windows.values())[-wanted:]
            self.settled = len(last) == wanted and bool(is_stable(last))
        return self.settled


def _is_steady(stage: Stage) -> bool:
    """Returns whether its load is the same all the time, so that its figures can settle."""
    pressure = stage.pressure
    return not isinstance(pressure, OpenLoop) or (
        pressure.end_rate_per_s is None and pressure.arrivals is not Arrivals.RECORDED
    )


def _doubts_of(result: StageResult) -> list[str]:
    doubts = []
    # A rate that is too much settles nowhere, which says nothing against the search.
    if result.stable is False and result.holds is not False:
        doubts.append(
            "p99 had not settled: its thirds differ by more than 10 %; a longer --duration or "
            "--until-stable may help"
        )
    if len(result.answers.model_versions) > 1:
        doubts.append(f"more than one model answered: {', '.join(result.answers.model_versions)}")
    return doubts


def _doubts_of_machine(endpoint: Endpoint) -> list[str]:
    doubts = []
    if endpoint.host in ("localhost", "::1") or endpoint.host.startswith("127."):
        doubts.append(
            "client and server share this machine, so that each takes time from the other"
        )
    busy, cores = os.getloadavg()[0], host.cores()
    if busy > 0.5 * cores:
        doubts.append(f"the machine was busy before: load {busy:.1f} on {cores} cores")
    return doubts
