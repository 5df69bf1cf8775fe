"""Makes stages whose histograms hold given latencies, for what reads histograms."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random

import runs

from recserve_client.loadtest.latency import LatencyRecorder
from recserve_client.loadtest.result import Run, StageResult, Window


def window(latencies_ms: Iterable[float], *, start_s: float = 0.0, failed: int = 0) -> Window:
    """A second in which calls were answered after so many milliseconds, and some failed."""
    recorder = LatencyRecorder()
    for each in latencies_ms:
        recorder.record(each / 1000)
    return Window(
        start_s=start_s,
        seconds=1.0,
        started=recorder.count + failed,
        ok=recorder.count,
        errors={"UNAVAILABLE": failed} if failed else {},
        latency=recorder.summary(),
        late=0,
        histogram=recorder.encode(),
    )


def stage(windows: Sequence[Window], *, label: str = "200/s", mode: str = "open") -> StageResult:
    """A stage of these windows."""
    recorder = LatencyRecorder()
    for each in windows:
        recorder.merge(each.histogram)
    failed = sum(sum(each.errors.values()) for each in windows)
    return replace(
        runs.open_stage(200.0, seconds=1),
        label=label,
        mode=mode,
        rate_per_s=200.0 if mode == "open" else None,
        seconds=float(len(windows)),
        started=recorder.count + failed,
        ok=recorder.count,
        errors={"UNAVAILABLE": failed} if failed else {},
        ok_per_s=recorder.count / len(windows),
        latency=recorder.summary(),
        histogram=recorder.encode(),
        windows=tuple(windows),
        stable=True,
        holds=None,
        warnings=(),
    )


def random_run(
    seed: object, *, factor: float = 1.0, seconds: int = 20, calls: int = 200, failing: float = 0.0
) -> Run:
    """A run of one stage of log-normal latencies, each second a bit slower or quicker at random."""
    random = Random(f"{seed}")
    windows = []
    for start in range(seconds):
        pace = factor * random.lognormvariate(0, 0.05)
        failed = sum(random.random() < failing for _ in range(calls))
        latencies = [5 * pace * random.lognormvariate(0, 0.5) for _ in range(calls - failed)]
        windows.append(window(latencies, start_s=float(start), failed=failed))
    return runs.run(stage(windows))
