"""What one process counts during a stage, in slices of time."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from .latency import LatencyRecorder
from .plan import ClosedLoop, Stage
from .wire.calls import Call

LATE_S: Final = 0.001
"""A call that leaves later than this after its time is late."""
MAX_SAMPLES: Final = 200
"""Answers kept of a stage, by all processes together."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of one process' stage; see `result.Window` for what the figures mean."""

    number: int
    """From 0."""
    seconds: float
    """How long it is."""
    started: int
    ok: int
    errors: dict[str, int]
    late: int
    histogram: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """What one process tells of a whole stage."""

    seconds: float
    """Measured time; less than the stage's if it was stopped."""
    ok_in_time: int
    """Calls answered OK within it, whenever they left."""
    unsent: int
    """Calls that were never sent, since their time had run out before."""
    cpu_share: float
    """Share of a core that the process took, from 0 to 1."""
    lag: str
    """How late calls left, as `LatencyRecorder.encode`."""
    samples: list[tuple[str, bytes]]
    """(method, message) of some answers."""


@dataclass(slots=True)
class _Counts:
    started: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    late: int = 0
    latency: LatencyRecorder = field(default_factory=LatencyRecorder)


class Tally:
    """Counts calls; times are seconds on the clock of time.monotonic."""

    def __init__(self, stage: Stage, zero_s: float, window_s: float, samples: int) -> None:
        """Begins to count.

        Args:
            stage: what is measured.
            zero_s: when its measured time begins.
            window_s: length of a slice, seconds; the last may be shorter.
            samples: answers to keep, spread over the measured time.
        """
        self.zero_s, self.end_s = zero_s, zero_s + stage.seconds
        self.lag = LatencyRecorder()
        self.ok_in_time = self.unsent = 0
        self.kept: list[Call] = []
        self._is_closed = isinstance(stage.pressure, ClosedLoop)
        self._window_s, self._last = window_s, slice_count(stage.seconds, window_s) - 1
        self._counts: dict[int, _Counts] = {}
        self._told = 0
        self._samples = samples
        self._sample_every_s = stage.seconds / samples if samples else math.inf
        self._next_sample_s = zero_s

    @property
    def seconds(self) -> float:
        """How long the measured time is; none if it ends before it begins."""
        return max(0.0, self.end_s - self.zero_s)

    @property
    def boundary_s(self) -> float:
        """When the next slice can be told; infinite if only the last is left."""
        return math.inf if self._told >= self._last else self._begin_s(self._told + 1)

    def stop(self, end_s: float) -> None:
        """Ends the measured time early."""
        self.end_s = min(self.end_s, end_s)
        self._last = max(slice_count(self.seconds, self._window_s) - 1, self._told)

    def leave(self, call: Call, now_s: float) -> None:
        """Counts a call that is handed to its connection."""
        if call.intended_s < self.zero_s:
            return
        lag_s = now_s - call.intended_s
        counts = self._counts_at(call.intended_s)
        counts.started += 1
        if not self._is_closed:
            self.lag.record(lag_s)
            counts.late += lag_s > LATE_S
        if call.intended_s >= self._next_sample_s and len(self.kept) < self._samples:
            self._next_sample_s += self._sample_every_s
            call.message = bytearray()
            self.kept.append(call)

    def end(self, call: Call) -> None:
        """Counts a call that ended."""
        is_ok, ended_s = call.status == "OK", call.ended_s
        # Those of the warm-up too: what was under way at the end is not in this figure.
        self.ok_in_time += is_ok and self.zero_s <= ended_s < self.end_s
        if call.intended_s < self.zero_s:
            return
        if call.message is not None and not is_ok:
            self.kept.remove(call)  # makes room for another
        counts = self._counts_at(ended_s)
        if is_ok:
            counts.latency.record(ended_s - (call.left_s if self._is_closed else call.intended_s))
            return
        counts.errors[call.status] += 1
        self.unsent += call.status == "DEADLINE_EXCEEDED" and call.left_s == math.inf

    def finished(self, now_s: float) -> Iterator[Slice]:
        """Yields slices, but for the last, that nothing before `now_s` can change any more."""
        while self.boundary_s <= now_s:
            yield self._tell()

    def rest(self) -> Iterator[Slice]:
        """Yields the slices that were not told yet; answers after the end are in the last."""
        while self._told <= self._last:
            yield self._tell()

    def _begin_s(self, number: int) -> float:
        return self.zero_s + number * self._window_s

    def _counts_at(self, time_s: float) -> _Counts:
        # The small part keeps a call that is meant for the very beginning of a slice in it.
        number = int((time_s - self.zero_s) / self._window_s + 1e-6)
        number = max(self._told, min(number, self._last))
        counts = self._counts.get(number)
        if counts is None:
            counts = self._counts[number] = _Counts()
        return counts

    def _tell(self) -> Slice:
        number, counts = self._told, self._counts.pop(self._told, None) or _Counts()
        self._told += 1
        return Slice(
            number=number,
            seconds=max(0.0, min(self._window_s, self.end_s - self._begin_s(number))),
            started=counts.started,
            ok=counts.latency.count,
            errors=dict(counts.errors),
            late=counts.late,
            histogram=counts.latency.encode(),
        )


def slice_count(seconds: float, window_s: float) -> int:
    """Returns how many slices a time has."""
    return max(1, math.ceil(round(seconds / window_s, 6)))


def whole_message(framed: bytes) -> bytes | None:
    """Returns a gRPC message without its framing, None if it is compressed or not whole."""
    if len(framed) < 5 or framed[0] or len(framed) - 5 != int.from_bytes(framed[1:5], "big"):
        return None
    return framed[5:]
