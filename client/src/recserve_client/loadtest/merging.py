"""Puts together what the processes of a load test counted."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from .arrivals import Ramp
from .latency import LatencyRecorder
from .plan import Arrivals, ClosedLoop, OpenLoop, Stage
from .result import Answers, ClientLoad, StageResult, Window
from .slices import MAX_SAMPLES, Slice, Summary

_BUSY_SHARE: Final = 0.85
_LAG_MS: Final = 2.0
_LATE_SHARE: Final = 0.01
_NO_TIME_S: Final = 1e-6


class Merger:
    """Merges the slices of one stage into windows, and all of it into its result."""

    def __init__(self, stage: Stage, window_s: float, processes: int) -> None:
        """Begins without any."""
        self._stage, self._window_s, self._processes = stage, window_s, processes
        self._slices: defaultdict[int, list[Slice]] = defaultdict(list)
        self._merged = 0
        self._windows: list[Window] = []
        self._latency = LatencyRecorder()
        self._seconds = stage.seconds

    def add(self, slice_: Slice) -> Iterator[Window]:
        """Takes a slice of one process; yields the windows that all processes have told."""
        self._slices[slice_.number].append(slice_)
        while len(self._slices.get(self._merged, ())) == self._processes:
            yield from self._merge()

    def rest(self, summaries: Sequence[Summary]) -> Iterator[Window]:
        """Ends the stage; yields windows that some process has not told, being stopped before."""
        self._seconds = min(each.seconds for each in summaries)
        while self._merged in self._slices:
            yield from self._merge()

    def result(self, summaries: Sequence[Summary]) -> StageResult:
        """Returns the stage's result."""
        stage, windows = self._stage, self._windows
        opened = stage.pressure if isinstance(stage.pressure, OpenLoop) else None
        closed = stage.pressure if isinstance(stage.pressure, ClosedLoop) else None
        errors: Counter[str] = Counter()
        for window in windows:
            errors.update(window.errors)
        client = _client_load(windows, summaries)
        started = sum(window.started for window in windows)
        in_time = sum(each.ok_in_time for each in summaries)
        return StageResult(
            label=stage.pressure.label,
            mode="open" if opened else "closed",
            arrivals=str(opened.arrivals) if opened else None,
            rate_per_s=opened.rate_per_s if opened else None,
            end_rate_per_s=opened.end_rate_per_s if opened else None,
            concurrency=closed.concurrency if closed else None,
            seconds=self._seconds,
            warmup_s=stage.warmup_s,
            started=started,
            ok=self._latency.count,
            errors=dict(errors),
            ok_per_s=in_time / self._seconds if self._seconds > _NO_TIME_S else 0.0,
            latency=self._latency.summary(),
            percentiles=self._latency.percentile_curve(),
            histogram=self._latency.encode(),
            windows=tuple(windows),
            client=client,
            answers=Answers(sampled=len(samples(summaries))),
            warnings=_warnings(client, started),
        )

    def _merge(self) -> Iterator[Window]:
        """Merges the slices of the next number; yields nothing if it is of no time and no call."""
        number, parts = self._merged, self._slices.pop(self._merged)
        self._merged += 1
        if not any(part.seconds or part.started for part in parts):
            return
        latency, errors = LatencyRecorder(), Counter[str]()
        for part in parts:
            latency.merge(part.histogram)
            errors.update(part.errors)
        encoded = latency.encode()
        self._latency.merge(encoded)
        start_s, seconds = number * self._window_s, max(part.seconds for part in parts)
        window = Window(
            start_s=start_s,
            seconds=seconds,
            started=sum(part.started for part in parts),
            ok=latency.count,
            errors=dict(errors),
            latency=latency.summary(),
            late=sum(part.late for part in parts),
            histogram=encoded,
            rate_per_s=self._rate_per_s(start_s, seconds),
        )
        self._windows.append(window)
        yield window

    def _rate_per_s(self, start_s: float, seconds: float) -> float | None:
        pressure = self._stage.pressure
        if not isinstance(pressure, OpenLoop) or pressure.arrivals is Arrivals.RECORDED:
            return None
        ramp = Ramp.of(pressure, self._stage.seconds)
        middle_s = start_s + seconds / 2
        return ramp.rate_per_s + ramp.growth_per_s2 * middle_s


def samples(summaries: Sequence[Summary]) -> tuple[tuple[str, bytes], ...]:
    """Returns (method, message) of the answers that were kept."""
    return tuple(sample for each in summaries for sample in each.samples)[:MAX_SAMPLES]


def _client_load(windows: Sequence[Window], summaries: Sequence[Summary]) -> ClientLoad:
    lag = LatencyRecorder()
    for summary in summaries:
        lag.merge(summary.lag)
    return ClientLoad(
        processes=len(summaries),
        cpu_shares=tuple(round(each.cpu_share, 3) for each in summaries),
        lag_p99_ms=lag.percentile_ms(99) or 0.0,
        lag_max_ms=lag.percentile_ms(100) or 0.0,
        late=sum(window.late for window in windows),
        unsent=sum(each.unsent for each in summaries),
    )


def _warnings(client: ClientLoad, started: int) -> tuple[str, ...]:
    """Tells what makes the figures of a stage doubtful."""
    found = []
    if (busiest := max(client.cpu_shares)) > _BUSY_SHARE:
        found.append(
            f"the client is the bottleneck: a process took {busiest:.0%} of a core; "
            "use more --processes"
        )
    if client.lag_p99_ms > _LAG_MS or client.late > _LATE_SHARE * started:
        found.append(
            f"the client was late: by {client.lag_p99_ms:.1f} ms at the 99th percentile, by more "
            f"than a millisecond in {client.late} of {started} calls"
        )
    if client.unsent:
        found.append(
            f"{client.unsent} calls were never sent, since their time ran out before the server "
            "allowed another call on its connection; use more --connections"
        )
    return tuple(found)
