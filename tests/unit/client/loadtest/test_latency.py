import io
import math

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from recserve_client.loadtest.latency import LatencyRecorder
from recserve_client.loadtest.result import Latency


def recorder(*seconds: float) -> LatencyRecorder:
    made = LatencyRecorder()
    for each in seconds:
        made.record(each)
    return made


@given(
    st.lists(st.integers(1, 3_600_000_000), min_size=1, max_size=300),
    st.sampled_from([50.0, 75.0, 90.0, 99.0, 99.9, 100.0]),
)
def test_percentiles_are_nearest_rank_within_a_thousandth(
    microseconds: list[int], percentile: float
) -> None:
    found = recorder(*(each / 1e6 for each in microseconds)).percentile_ms(percentile)

    rank = max(1, math.ceil(round(percentile * len(microseconds) / 100, 6)))
    assert found == pytest.approx(sorted(microseconds)[rank - 1] / 1000, rel=0.001)


def test_a_summary_has_all_percentiles_and_the_mean() -> None:
    found = recorder(*(number / 1000 for number in range(1, 1001))).summary()

    expected = Latency(
        count=1000,
        mean_ms=500.5,
        p50_ms=500,
        p75_ms=750,
        p90_ms=900,
        p95_ms=950,
        p99_ms=990,
        p999_ms=999,
        max_ms=1000,
    )
    for name in Latency.__dataclass_fields__:
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=0.001), name


def test_without_recordings_nothing_is_known() -> None:
    empty = recorder()

    assert empty.summary() == Latency()
    assert empty.percentile_ms(99) is None
    assert empty.percentile_curve() == ()
    assert LatencyRecorder.decode(empty.encode()).count == 0


def test_merging_is_recording_it_all_in_one() -> None:
    merged = recorder(0.001, 0.5)
    merged.merge(recorder(0.02, 70).encode())

    assert merged.summary() == recorder(0.001, 0.02, 0.5, 70).summary()


def test_others_can_read_what_is_encoded() -> None:
    read = HdrHistogram.decode(recorder(0.004, 0.004, 1.5).encode())

    assert read.get_total_count() == 3
    assert read.get_max_value() == pytest.approx(1_500_000, rel=0.001)


def test_more_than_an_hour_counts_as_an_hour_and_less_than_nothing_as_nothing() -> None:
    found = recorder(-1, 10_000)

    assert found.count == 2
    assert found.percentile_ms(50) == 0
    assert found.percentile_ms(100) == pytest.approx(3_600_000, rel=0.001)


def test_the_curve_rises_to_the_maximum_and_is_denser_towards_it() -> None:
    found = recorder(*(number / 1000 for number in range(1, 10_001)))
    percentiles, values = zip(*found.percentile_curve(), strict=True)

    assert list(percentiles) == sorted(set(percentiles))
    assert list(values) == sorted(values)
    assert (percentiles[-1], values[-1]) == (100, found.percentile_ms(100))
    assert sum(each > 99 for each in percentiles) > 40
    assert len(percentiles) < 200


def test_the_table_is_as_tools_expect_it_in_milliseconds() -> None:
    file = io.StringIO()
    recorder(*(number / 1000 for number in range(1, 1001))).write_hgrm(file)
    head, blank, *lines = file.getvalue().splitlines()

    assert head.split() == ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]
    assert not blank
    rows = [[float(each) for each in line.split()] for line in lines if line[0] != "#"]
    median = next(row for row in rows if row[1] == 0.5)
    assert median == pytest.approx([500, 0.5, 500, 2], rel=0.001)
    assert rows[-1] == pytest.approx([1000, 1, 1000], rel=0.001)
    assert lines[-3].startswith("#[Mean    =      500.")
    assert "StdDeviation   =      288." in lines[-3]
    assert "Total count    =         1000]" in lines[-2]
