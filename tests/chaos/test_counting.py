"""What is counted, when something is flat, and in which order faults come."""

import sys
from itertools import islice
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest

sys.path.append(str(Path(__file__).parent))

from recserve_chaos.audit import audit
from recserve_chaos.faults import FAULTS
from recserve_chaos.feedback import Feedback
from recserve_chaos.ledger import Allowed, Call, Ledger
from recserve_chaos.measuring import Sample, growths
from recserve_chaos.questions import Names
from recserve_chaos.schedule import rounds

from recserve_client import Event, EventType

LATE = Allowed(reads=frozenset({"DEADLINE_EXCEEDED"}))


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock: Clock) -> Ledger:
    return Ledger(clock)


def window_of(ledger: Ledger, clock: Clock, start_s: float, end_s: float):
    clock.now_s = start_s
    with ledger.window("fault", LATE) as window:
        clock.now_s = end_s
    return window


def test_a_failure_is_allowed_only_while_its_fault_lasts(ledger: Ledger, clock: Clock) -> None:
    window = window_of(ledger, clock, 10.0, 20.0)

    ledger.count(Call(12.0, 14.0, "DEADLINE_EXCEEDED"))
    ledger.count(Call(22.0, 24.0, "DEADLINE_EXCEEDED"))

    assert window.failed == {"DEADLINE_EXCEEDED": 1}
    assert ledger.calm.outside == {"DEADLINE_EXCEEDED": 1}


def test_a_call_that_began_before_a_fault_met_it(ledger: Ledger, clock: Clock) -> None:
    window = window_of(ledger, clock, 10.0, 20.0)

    ledger.count(Call(9.0, 11.0, "DEADLINE_EXCEEDED"))

    assert window.failed.total() == 1
    assert ledger.calm.calls == 0


def test_what_reads_may_writes_may_not(ledger: Ledger, clock: Clock) -> None:
    window = window_of(ledger, clock, 10.0, 20.0)

    ledger.count(Call(12.0, 14.0, "DEADLINE_EXCEEDED", is_write=True))
    ledger.count(Call(12.0, 14.0, "INTERNAL"))

    assert window.outside == {"DEADLINE_EXCEEDED": 1, "INTERNAL": 1}


def test_a_wrong_answer_counts_whatever_is_allowed(ledger: Ledger, clock: Clock) -> None:
    window = window_of(ledger, clock, 10.0, 20.0)

    ledger.count(Call(12.0, 14.0, "OK", problem="not in order"), "u0")

    assert window.wrong == 1
    assert ledger.examples == ["wrong during fault: not in order: u0"]


def test_each_fault_has_its_turn_before_any_comes_again() -> None:
    first = list(islice(rounds(list(FAULTS), Random(1)), 2 * len(FAULTS)))

    assert set(first[: len(FAULTS)]) == set(FAULTS)
    assert set(first[len(FAULTS) :]) == set(FAULTS)
    assert first == list(islice(rounds(list(FAULTS), Random(1)), 2 * len(FAULTS)))


def test_calls_may_fail_only_where_it_is_said_why() -> None:
    for fault in FAULTS.values():
        assert bool(fault.allowed.reads | fault.allowed.writes) is bool(fault.why), fault.name


def samples(per_minute_bytes: float, more_descriptors: int = 0) -> list[Sample]:
    made = []
    for minute in range(60):
        # A peak now and then, as when much is asked at once.
        peak = 100 << 20 if minute % 10 == 0 else 0
        server_bytes = (200 << 20) + int(minute * per_minute_bytes) + peak
        descriptors = 40 + (minute * more_descriptors) // 60
        made.append(Sample("replica-1", 60.0 * minute, server_bytes, 500 << 20, descriptors, 30))
    return made


def test_peaks_are_flat() -> None:
    assert all(each.is_flat for each in growths(samples(0)))


def test_a_leak_of_memory_is_seen() -> None:
    found = {each.measure: each for each in growths(samples(per_minute_bytes=1 << 20))}

    assert not found["server_bytes"].is_flat
    assert found["server_bytes"].per_hour == pytest.approx(60 << 20, rel=0.05)
    assert found["threads"].is_flat


def test_a_leak_of_descriptors_is_seen() -> None:
    found = {each.measure: each for each in growths(samples(0, more_descriptors=20))}

    assert not found["descriptors"].is_flat


def test_without_samples_nothing_is_called_flat() -> None:
    assert not any(each.is_flat for each in growths(samples(0)[:1]))


class Kept:
    """A store that kept some events, and not a process."""

    is_shared = False

    def __init__(self, *events: tuple[str, str]) -> None:
        self.events = events

    def stored(self) -> list[tuple[str, str]]:
        return list(self.events)


def world_of(ledger: Ledger, store: Kept) -> SimpleNamespace:
    names = Names(("u1",), ("u2",), ("i1", "i2"), ())
    feedback = Feedback(names, is_shared=False)
    for event_id, moment_s in (("a", 5.0), ("b", 15.0)):
        feedback.acknowledge([Event("u2", "i1", EventType.VIEW, event_id=event_id)], moment_s)
    return SimpleNamespace(traffic=SimpleNamespace(feedback=feedback), ledger=ledger, store=store)


async def test_an_acknowledged_event_that_is_gone_is_lost_to_its_fault(
    ledger: Ledger, clock: Clock
) -> None:
    window = window_of(ledger, clock, 10.0, 20.0)

    assert not await audit(world_of(ledger, Kept(("u2", "a"))))
    assert (window.lost, ledger.calm.lost) == (1, 0)


async def test_an_event_that_is_there_twice_is_told(ledger: Ledger) -> None:
    world = world_of(ledger, Kept(("u2", "a"), ("u2", "b"), ("u2", "b")))

    assert "twice" in await audit(world)
    assert ledger.calm.lost == 0
