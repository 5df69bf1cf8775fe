"""`make bench-admission`: whom to let in, by what a batch is expected to take.

The batcher itself, on a simulated clock: floods of calls with deadlines, on models whose batches
scatter, stall by chance, or become slower for good. The figures are the same on any machine.
"""

import argparse
import asyncio
import itertools
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
from arguments import OUT
from printing import save, wide_console
from rich.table import Table

from recserve_server.batching.batcher import MicroBatcher
from recserve_server.batching.pace import Pace
from recserve_server.batching.runner import Done
from recserve_server.batching.terms import Terms
from recserve_server.config import BatchingConfig
from recserve_server.errors import DeadlineTooShort, ExpiredInQueue

BATCH_SIZE = 4
# Callers start a batch at once: on a clock that moves in leaps they could not wait for others.
CONFIG = BatchingConfig(
    max_batch_size=BATCH_SIZE, batch_timeout_micros=0, max_enqueued=4096, max_queue_delay_ms=0
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Calls at random times, and how long the batches take; times are seconds."""

    batch_s: float = 0.05
    """Mean; the length is lognormal."""
    scatter: float = 0.0
    """Standard deviation of the length's logarithm."""
    load: float = 10.0
    """Calls for each that the model can answer."""
    timeout_s: float = 1.0
    seconds: float = 10.0
    stall_s: float = 0.0
    """What each 200th batch takes, if not 0."""
    slower: float = 1.0
    """How many times longer batches take from the middle on."""


SCENARIOS = {
    "flood": Scenario(),
    "flood, scatter 0.5": Scenario(scatter=0.5),
    "flood, scatter 1": Scenario(scatter=1.0),
    "stalls": Scenario(batch_s=0.005, scatter=0.2, load=0.5, timeout_s=0.5, stall_s=0.3),
    "200 times slower": Scenario(batch_s=0.0005, scatter=0.2, load=0.05, slower=200.0),
}


class LastBatch(Pace):
    """Expects of a batch what the last one took."""

    def answered(self, run_s: float) -> None:
        """Notes what a batch has taken."""
        self.batch_s = run_s


class BegunInTime(LastBatch):
    """Lets in whose batch begins before the deadline."""

    def answer_s(self, now_s: float, requests_before: int) -> float:
        """Returns the seconds until the batch begins."""
        return self.estimated_wait_s(now_s, requests_before)


class Mean(Pace):
    """Expects the mean, in which every batch counts."""

    def answered(self, run_s: float) -> None:
        """Notes what a batch has taken."""
        self.batch_s += (run_s - self.batch_s) / 8 if self.batch_s else run_s


POLICIES: dict[str, type[Pace]] = {
    "begins in time, last batch": BegunInTime,
    "ends in time, last batch": LastBatch,
    "ends in time, mean": Mean,
    "ends in time, mean without odd ones": Pace,
}


class Model:
    """A `BatchRunner` on a clock of its own."""

    _STALL_EACH: ClassVar = 200

    def __init__(self, scenario: Scenario, random: np.random.Generator) -> None:
        self._scenario, self._random = scenario, random
        self._number = itertools.count(1)
        self.now_s, self._end_s = 0.0, float("inf")
        self._requests: Sequence[int] = ()
        self._done: Done[int] | None = None

    def start(self, requests: Sequence[int], done: Done[int]) -> None:
        """Runs a batch."""
        self._requests, self._done = requests, done
        self._end_s = self.now_s + self._length_s()

    def close(self) -> None:
        """Does nothing."""

    async def live_until(self, end_s: float) -> None:
        """Lets the time pass and batches end."""
        while self._done and self._end_s <= end_s:
            self.now_s, done, self._done = self._end_s, self._done, None
            done(self._requests, None)
            await _settle()
        self.now_s = end_s

    def _length_s(self) -> float:
        of = self._scenario
        if of.stall_s and next(self._number) % self._STALL_EACH == 0:
            return of.stall_s
        slower = of.slower if self.now_s > of.seconds / 2 else 1.0
        return slower * of.batch_s * self._random.lognormal(-(of.scatter**2) / 2, of.scatter)


async def play(scenario: Scenario, policy: type[Pace], seed: int) -> "Counter[str]":
    """Returns how many calls were answered `in time`, `late` or not at all, or `refused`."""
    random = np.random.default_rng(seed)
    model = Model(scenario, random)
    batcher: MicroBatcher[int, int] = MicroBatcher(model, CONFIG, clock=lambda: model.now_s)
    batcher._pace = batcher._admission._pace = policy(CONFIG)  # no setting: users need not choose
    ended: Counter[str] = Counter()

    async def ask() -> None:
        deadline_s = model.now_s + scenario.timeout_s
        try:
            await batcher.submit(0, Terms(timeout_s=scenario.timeout_s))
            ended["in time" if model.now_s <= deadline_s else "late"] += 1
        except DeadlineTooShort:
            ended["refused"] += 1
        except ExpiredInQueue:
            ended["late"] += 1

    asked = []
    for at_s in _arrivals(scenario, random):
        await model.live_until(at_s)
        asked.append(asyncio.create_task(ask()))
        await _settle()
    await model.live_until(scenario.seconds + 100 * scenario.timeout_s)
    await asyncio.gather(*asked)
    return ended


def _arrivals(scenario: Scenario, random: np.random.Generator) -> Iterator[float]:
    per_s = scenario.load * BATCH_SIZE / scenario.batch_s
    at_s = 0.0
    while (at_s := at_s + random.exponential(1 / per_s)) < scenario.seconds:
        yield at_s


async def _settle() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


def told(scenario: Scenario, ended: "Counter[str]") -> float:
    """Returns what a scenario is about.

    A flood: answers in time / all that the model can do. A model that becomes slower: the share of
    calls that were let in and answered too late. Stalls: the share of calls not answered in time.
    """
    if scenario.load > 1:
        return ended["in time"] / (scenario.seconds * BATCH_SIZE / scenario.batch_s)
    if scenario.slower > 1:
        return ended["late"] / ended.total()
    return 1 - ended["in time"] / ended.total()


def main() -> int:
    """Runs the simulation from the command line; returns its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="seeds (default: %(default)s)")
    rounds = parser.parse_args().rounds
    table = Table("whom to let in", *SCENARIOS)
    runs: list[dict[str, object]] = []
    for policy_name, policy in POLICIES.items():
        cells = []
        for name, scenario in SCENARIOS.items():
            ended = [asyncio.run(play(scenario, policy, seed)) for seed in range(rounds)]
            found = [told(scenario, each) for each in ended]
            cells.append(f"{statistics.median(found):.{2 if scenario.load > 1 else 4}f}")
            counts = [dict(each) for each in ended]
            runs.append({"policy": policy_name, "scenario": name, "ended": counts})
        table.add_row(policy_name, *cells)
    console = wide_console()
    console.print(table)
    OUT.mkdir(parents=True, exist_ok=True)
    scenarios = {name: asdict(scenario) for name, scenario in SCENARIOS.items()}
    save({"scenarios": scenarios, "runs": runs}, OUT / "admission.json", console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
