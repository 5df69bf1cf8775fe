"""Runs one stage in one process, over its connections.

A process walks the list of questions cyclically; the first begins at its beginning, the others at
equal distances from it. Of a recording, each process takes every count-th time with the question
that belongs to it.
"""

import gc
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from .arrivals import Share, arrivals, recorded
from .pacing import ClosedPacer, OpenPacer, Pacer
from .plan import Arrivals, ClosedLoop, Stage
from .slices import MAX_SAMPLES, Slice, Summary, Tally, whole_message
from .wire.calls import EncodedCall
from .wire.pool import Pool

_PATIENCE_S: Final = 10.0
"""For the last answers, where calls have no timeout."""
_LOOK_EVERY_S: Final = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """A stage to run."""

    stage: Stage
    zero_s: float
    """When its measured time begins, on the clock of time.monotonic; the same for all processes."""
    seed: int
    """Of the stage."""
    window_s: float
    """Length of the slices in which is told what happened, seconds."""
    times_s: Sequence[float]
    """Of a recording: when each call leaves, in seconds since `zero_s`, ascending."""


class _Effort:
    """Measures the share of a core that this process takes."""

    def __init__(self) -> None:
        self._begin: tuple[float, float] | None = None
        self._next_s = 0.0
        self.share = 0.0

    def note(self, now_s: float, tally: Tally) -> None:
        """Looks at the clocks, if it is the measured time."""
        if tally.zero_s <= now_s < tally.end_s and now_s >= self._next_s:
            self._next_s = now_s + _LOOK_EVERY_S
            cpu_s = time.process_time()
            if self._begin is None:
                self._begin = now_s, cpu_s
            elif now_s > self._begin[0]:
                self.share = (cpu_s - self._begin[1]) / (now_s - self._begin[0])


class Driver:
    """One process' part in stages, one after another."""

    def __init__(
        self, pool: Pool, requests: Sequence[EncodedCall], share: Share, timeout_s: float | None
    ) -> None:
        """Takes connections that are ready."""
        self._pool, self._requests, self._share = pool, requests, share
        self._patience_s = _PATIENCE_S if timeout_s is None else timeout_s
        self._unanswered = "NO_ANSWER" if timeout_s is None else "DEADLINE_EXCEEDED"
        self._running: tuple[Pacer, Tally] | None = None

    def run(self, order: Order, tell: Callable[[Slice], None]) -> Summary:
        """Runs a stage; `tell` gets each slice as soon as nothing can change it any more."""
        stage = order.stage
        samples = math.ceil(MAX_SAMPLES / self._share.count)
        tally = Tally(stage, order.zero_s, order.window_s, samples)
        pacer = self._pacer(order, tally)
        self._running = pacer, tally
        gc.collect()
        gc.disable()  # a collection would be latency of ours
        try:
            begin_s = order.zero_s - stage.warmup_s
            while time.monotonic() < min(begin_s, tally.end_s):
                self._pool.turn(begin_s)
            share = self._drive(pacer, tally, tell)
        finally:
            gc.enable()
            self._running = None
        for slice_ in tally.rest():
            tell(slice_)
        return _summary(tally, share)

    def stop(self, end_s: float) -> None:
        """Ends the measured time of the running stage early."""
        if self._running is not None:
            pacer, tally = self._running
            tally.stop(end_s)
            pacer.stop(tally.end_s)

    def _pacer(self, order: Order, tally: Tally) -> Pacer:
        stage, requests, share = order.stage, self._requests, self._share
        begin = len(requests) * share.index // share.count
        walk = itertools.islice(itertools.cycle(requests), begin, None)
        if isinstance(stage.pressure, ClosedLoop):
            return ClosedPacer(share.of(stage.pressure.concurrency), walk, self._pool, tally)
        if stage.pressure.arrivals is Arrivals.RECORDED:
            pairs = recorded(order.times_s, stage, share)
            times: Iterator[tuple[float, EncodedCall]] = (
                (time_s, requests[place % len(requests)]) for time_s, place in pairs
            )
        else:
            times = zip(arrivals(stage, share, order.seed), walk, strict=False)
        return OpenPacer(_moved(times, order.zero_s), self._pool, tally)

    def _drive(self, pacer: Pacer, tally: Tally, tell: Callable[[Slice], None]) -> float:
        """Runs until all is answered or patience ends; returns the share of a core it took."""
        pool, effort = self._pool, _Effort()
        while True:
            now_s, end_s = time.monotonic(), tally.end_s
            effort.note(now_s, tally)
            if now_s >= end_s + self._patience_s:
                pool.abandon(self._unanswered)
            pacer.ask(now_s)
            next_s = pacer.next_s
            if now_s >= end_s and next_s == math.inf and not pool.under_way:
                return effort.share
            until_s = end_s if now_s < end_s else end_s + self._patience_s
            pool.turn(min(next_s, until_s, tally.boundary_s))
            for call in pool.take_ended():
                tally.end(call)
                pacer.note_end(call)
            for slice_ in tally.finished(min(now_s, next_s)):
                tell(slice_)


def _moved(
    times: Iterator[tuple[float, EncodedCall]], zero_s: float
) -> Iterator[tuple[float, EncodedCall]]:
    return ((zero_s + time_s, request) for time_s, request in times)


def _summary(tally: Tally, cpu_share: float) -> Summary:
    framed = (
        (call.request.method, whole_message(bytes(call.message or b""))) for call in tally.kept
    )
    return Summary(
        seconds=tally.seconds,
        ok_in_time=tally.ok_in_time,
        unsent=tally.unsent,
        cpu_share=min(1.0, cpu_share),
        lag=tally.lag.encode(),
        samples=[(method, message) for method, message in framed if message is not None],
    )
