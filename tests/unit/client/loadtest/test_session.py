import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sessions import FOUND, PATIENT_S, TOLD, Watcher, open_stage, plan_for, questions, run

from recserve_client import UnavailableError
from recserve_client.loadtest.conditions import read_objective
from recserve_client.loadtest.plan import (
    Arrivals,
    ClosedLoop,
    Stage,
)
from recserve_client.loadtest.result import Run, Window
from recserve_client.loadtest.search import SearchPlan
from recserve_client.loadtest.session import Session
from recserve_client.loadtest.traffic.mix import Mix
from recserve_client.testing import FakeServer


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(fake: FakeServer) -> Iterator[None]:
    yield
    fake.reset()


@pytest.fixture(scope="module")
def watched(fake: FakeServer) -> tuple[Run, Watcher]:
    """An open loop, then a closed one, and who looked on."""
    watcher = Watcher()
    closed = Stage(pressure=ClosedLoop(concurrency=2), seconds=0.3, warmup_s=0.1)
    plan = plan_for(
        fake.port, open_stage(50, 1.2), closed, conditions=("errors>0%", "rate<1"), seed=7
    )
    return Session(plan, FOUND, None, watcher).run(questions(), TOLD), watcher


def test_stages_are_run_one_after_the_other(watched: tuple[Run, Watcher]) -> None:
    found, watcher = watched

    assert [each.label for each in found.stages] == ["50/s", "2 in flight"]
    assert watcher.started == [("50/s", 1), ("2 in flight", 2)]
    assert tuple(watcher.ended) == found.stages
    assert watcher.windows == [window for each in found.stages for window in each.windows]
    assert (found.stages[0].started, found.stages[0].errors) == (60, {})
    assert found.stages[1].ok > 2
    assert [each.failed for each in found.conditions] == [False, False]
    assert found.search is None


def test_a_run_says_how_and_where_it_was_made(watched: tuple[Run, Watcher]) -> None:
    found, _ = watched

    assert (found.seed, found.arguments, found.mix) == (7, TOLD.arguments, TOLD.mix)
    assert found.tool.startswith("recserve ")
    assert found.started_at.endswith("+00:00")
    assert found.host.cores >= 1
    assert found.host.memory_bytes > 2**20
    assert {"recserve-client", "hdrhistogram"} <= set(found.versions)
    assert found.server == FOUND.server
    assert found.warnings[:2] == (
        "doubt",
        "client and server share this machine, so that each takes time from the other",
    )


@pytest.mark.parametrize(("unknown", "personal"), [(1.0, 0.0), (0.0, 1.0)])
def test_a_sample_of_the_answers_is_read(fake: FakeServer, unknown: float, personal: float) -> None:
    found = run(plan_for(fake.port, open_stage(100)), questions(Mix(unknown_share=unknown)))

    answers = found.stages[0].answers
    assert (answers.sampled, answers.personal_share, answers.short_share) == (50, personal, 0)
    model = fake.model
    assert answers.model_versions == (f"{model.name} {model.version}",)


def test_answers_of_several_models_are_doubtful(fake: FakeServer) -> None:
    def publish() -> None:
        for _ in range(10):  # the first of which have been answered by the time of the last
            fake.wait_for_call(PATIENT_S)
        fake.model.version += 1

    publishing = threading.Thread(target=publish)
    publishing.start()
    found = run(plan_for(fake.port, open_stage(100)))
    publishing.join()

    name = fake.model.name
    assert f"more than one model answered: {name} 1, {name} 2" in found.stages[0].warnings


def test_a_condition_that_holds_fails_the_run(fake: FakeServer) -> None:
    fake.fail("INTERNAL")
    found = run(plan_for(fake.port, open_stage(50), conditions=("errors>99%", "p99>1h")))

    errors, latency = found.conditions
    assert (errors.failed, errors.seen) == (True, "errors is 100% at 50/s")
    assert (latency.failed, latency.seen) == (True, "p99 is unknown at 50/s")
    assert found.stages[0].errors == {"INTERNAL": 25}


def test_a_recording_is_replayed_at_its_times(fake: FakeServer) -> None:
    fake.clear()
    times_s = (0.0, 0.1, 0.1, 0.4)
    stage = open_stage(8, 0.5, arrivals=Arrivals.RECORDED)
    asked = questions()[:4]
    found = run(plan_for(fake.port, stage, times_s=times_s, until_stable=True), asked)

    [result] = found.stages
    assert (result.started, result.ok, result.arrivals) == (4, 4, "recorded")
    assert (result.seconds, result.stable) == (pytest.approx(0.5), None)
    sent = [call.request.SerializeToString() for call in fake.calls]
    assert sorted(sent) == sorted(each.message for each in asked)


class Interrupter(Watcher):
    """Does something in the middle of a stage."""

    def __init__(self, number: int, act) -> None:
        super().__init__()
        self._number, self._act = number, act

    def window_ended(self, window: Window) -> None:
        super().window_ended(window)
        if len(self.started) == self._number:
            self._act()


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def test_what_ended_before_an_interruption_is_a_result(fake: FakeServer) -> None:
    session = Session(
        plan_for(fake.port, open_stage(50, 0.3), open_stage(60, 600), conditions=("errors>0%",)),
        FOUND,
        None,
        Interrupter(2, interrupt),
    )
    found = session.run(questions(), TOLD)

    assert session.broken_off == "interrupted"
    assert [each.label for each in found.stages] == ["50/s"]
    assert found.warnings[-1] == "interrupted: what had not ended by then is left out"
    assert [each.failed for each in found.conditions] == [False]


@pytest.mark.long
def test_a_search_that_is_interrupted_tells_what_it_knows(fake: FakeServer) -> None:
    plan = plan_for(
        fake.port,
        open_stage(1.0, 0.3),
        objective=read_objective(["max=30s"], 0.0),
        search=SearchPlan(low_per_s=20.0),
    )
    session = Session(plan, FOUND, None, Interrupter(3, interrupt))
    found = session.run(questions(), TOLD)

    assert session.broken_off == "interrupted"
    assert [each.rate_per_s for each in found.stages] == [20.0, 40.0]
    assert (found.search.rate_per_s, found.search.refused_rate_per_s) == (40.0, None)


def children() -> list[int]:
    text = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    return [int(pid) for pid in text.split()]


@pytest.mark.long
def test_a_process_that_dies_later_costs_only_its_stage(fake: FakeServer) -> None:
    before = set(children())

    def kill() -> None:
        for pid in set(children()) - before:
            if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8"):
                os.kill(pid, signal.SIGKILL)

    plan = plan_for(fake.port, open_stage(50, 0.3), open_stage(60, 3))
    session = Session(plan, FOUND, None, Interrupter(2, kill))
    found = session.run(questions(), TOLD)

    assert session.broken_off == "process 1 of 1 of the load test ended with exit code -9"
    assert [each.label for each in found.stages] == ["50/s"]


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(UnavailableError, match="cannot be reached"):
        run(plan_for(1, open_stage(50)))
