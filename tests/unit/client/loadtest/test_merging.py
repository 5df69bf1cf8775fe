import pytest

from recserve_client.loadtest.latency import LatencyRecorder
from recserve_client.loadtest.merging import Merger, samples
from recserve_client.loadtest.plan import ClosedLoop, OpenLoop, Stage
from recserve_client.loadtest.slices import MAX_SAMPLES, Slice, Summary

STAGE = Stage(pressure=OpenLoop(rate_per_s=100, end_rate_per_s=300), seconds=2)


def encoded(*seconds: float) -> str:
    recorder = LatencyRecorder()
    for each in seconds:
        recorder.record(each)
    return recorder.encode()


def slice_(number: int, *latencies_s: float, seconds: float = 1.0, **counts) -> Slice:
    settings = {"started": 10, "errors": {}, "late": 0} | counts
    return Slice(
        number=number,
        seconds=seconds,
        ok=len(latencies_s),
        histogram=encoded(*latencies_s),
        **settings,
    )


def summary(**found) -> Summary:
    settings = {"seconds": 2.0, "ok_in_time": 4, "unsent": 0, "cpu_share": 0.5, "lag": encoded(0)}
    return Summary(**(settings | {"samples": []} | found))


def test_a_window_is_told_when_all_processes_have_and_in_order() -> None:
    merger = Merger(STAGE, 1.0, processes=2)

    assert list(merger.add(slice_(0, 0.01, errors={"UNAVAILABLE": 2}))) == []
    assert list(merger.add(slice_(1, 0.02))) == []
    [first] = merger.add(slice_(0, 0.03, errors={"UNAVAILABLE": 1, "INTERNAL": 4}, late=3))
    [second] = merger.add(slice_(1))

    assert (first.start_s, second.start_s) == (0, 1)
    assert (first.started, first.ok, first.late) == (20, 2, 3)
    assert first.errors == {"UNAVAILABLE": 3, "INTERNAL": 4}
    assert first.latency.max_ms == pytest.approx(30, rel=0.001)
    assert (first.rate_per_s, second.rate_per_s) == (150, 250)


def test_a_result_is_of_all_windows_and_processes() -> None:
    merger = Merger(STAGE, 1.0, processes=2)
    for each in (slice_(0, 0.01), slice_(0, 0.03), slice_(1, 0.02), slice_(1, errors={"X": 1})):
        list(merger.add(each))
    found = merger.result([summary(cpu_share=0.25), summary(lag=encoded(0.001))])

    assert (found.label, found.mode, found.arrivals) == ("100..300/s", "open", "poisson")
    assert (found.started, found.ok, found.errors) == (40, 3, {"X": 1})
    assert found.ok_per_s == 4
    assert found.latency.p50_ms == pytest.approx(20, rel=0.001)
    assert LatencyRecorder.decode(found.histogram).count == 3
    assert found.percentiles[-1] == (100, pytest.approx(30, rel=0.001))
    assert found.client.cpu_shares == (0.25, 0.5)
    assert found.client.lag_max_ms == pytest.approx(1, rel=0.001)
    assert found.warnings == ()


def test_a_stage_that_is_stopped_ends_with_a_shorter_window() -> None:
    merger = Merger(STAGE, 1.0, processes=2)
    list(merger.add(slice_(0, 0.01, seconds=0.5)))
    rest = list(merger.rest([summary(seconds=0.5)] * 2))

    assert [window.seconds for window in rest] == [0.5]
    assert merger.result([summary(seconds=0.5)] * 2).ok_per_s == 16


def test_a_stage_that_is_stopped_before_it_was_measured_has_no_figures() -> None:
    merger = Merger(Stage(pressure=ClosedLoop(concurrency=3)), 1.0, processes=1)
    list(merger.add(slice_(0, seconds=0.0, started=0)))
    found = merger.result([summary(seconds=0.0, ok_in_time=0)])

    assert (found.windows, found.ok_per_s, found.percentiles) == ((), 0.0, ())
    assert (found.label, found.arrivals, found.rate_per_s) == ("3 in flight", None, None)


@pytest.mark.parametrize(
    ("counts", "told", "warning"),
    [
        ({}, {"cpu_share": 0.9}, "the client is the bottleneck: a process took 90% of a core"),
        ({}, {"lag": encoded(0.003)}, "the client was late: by 3.0 ms at the 99th percentile"),
        ({"late": 5}, {}, "more than a millisecond in 5 of 40 calls"),
        ({}, {"unsent": 7}, "7 calls were never sent"),
    ],
)
def test_a_client_that_cannot_keep_up_is_told(counts, told, warning: str) -> None:
    merger = Merger(STAGE, 1.0, processes=1)
    list(merger.add(slice_(0, 0.01, **({"started": 40} | counts))))

    [found] = merger.result([summary(**told)]).warnings
    assert warning in found


def test_no_more_answers_are_kept_than_are_wanted() -> None:
    many = [("/a.B/C", bytes(1))] * 150

    assert len(samples([summary(samples=many), summary(samples=many)])) == MAX_SAMPLES
