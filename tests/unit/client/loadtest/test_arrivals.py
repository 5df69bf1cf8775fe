import itertools
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve_client.loadtest.arrivals import Ramp, Share, arrivals, recorded
from recserve_client.loadtest.plan import Arrivals, OpenLoop, Stage

ALONE = Share(0, 1)


def stage(rate: float, end: float | None = None, **times: float) -> Stage:
    pressure = OpenLoop(rate_per_s=rate, end_rate_per_s=end, arrivals=Arrivals.CONSTANT)
    return Stage(pressure=pressure, **({"seconds": 10, "warmup_s": 0} | times))


def poisson(rate: float, end: float | None = None, **times: float) -> Stage:
    pressure = OpenLoop(rate_per_s=rate, end_rate_per_s=end)
    return Stage(pressure=pressure, **({"seconds": 100, "warmup_s": 0} | times))


def count_between(times: list[float], begin: float, end: float) -> int:
    return sum(begin <= each < end for each in times)


def test_constant_arrivals_are_at_equal_distances_from_warmup_to_the_end() -> None:
    times = list(arrivals(stage(10, seconds=3.3, warmup_s=0.5), ALONE, 1))

    assert times == pytest.approx([number / 10 for number in range(-5, 33)])
    assert 0.0 in times


def test_processes_take_constant_arrivals_in_turn() -> None:
    asked = stage(7, seconds=5, warmup_s=1)
    alone = list(arrivals(asked, ALONE, 1))
    dealt = [list(arrivals(asked, Share(index, 3), 1)) for index in range(3)]

    assert sorted(itertools.chain(*dealt)) == alone
    assert dealt[0][0:2] != dealt[1][0:2]
    assert {len(each) for each in dealt} <= {len(alone) // 3, len(alone) // 3 + 1}


def test_a_constant_ramp_sends_its_mean_rate_and_grows_evenly() -> None:
    times = list(arrivals(stage(10, 30, warmup_s=2), ALONE, 1))

    assert count_between(times, -2, 0) == 20
    assert count_between(times, 0, 10) == 200
    assert count_between(times, 0, 5) == 75
    assert times == sorted(times)


def test_a_ramp_may_fall() -> None:
    times = list(arrivals(stage(30, 10), ALONE, 1))

    assert (count_between(times, 0, 5), count_between(times, 5, 10)) == (125, 75)


def test_poisson_arrivals_have_the_rate_and_the_spread_of_independent_calls() -> None:
    times = list(arrivals(poisson(200, warmup_s=10), ALONE, 1))
    gaps = [after - before for before, after in itertools.pairwise(times)]
    per_second = [count_between(times, second, second + 1) for second in range(100)]

    assert count_between(times, -10, 0) == pytest.approx(2000, abs=4 * 2000**0.5)
    assert sum(per_second) == pytest.approx(20_000, abs=4 * 20_000**0.5)
    assert statistics.fmean(gaps) == pytest.approx(1 / 200, rel=0.03)
    # Exponential gaps deviate by their mean, counts of a Poisson process by its root.
    assert statistics.stdev(gaps) == pytest.approx(1 / 200, rel=0.05)
    assert statistics.variance(per_second) == pytest.approx(200, rel=0.5)


def test_a_poisson_ramp_follows_its_rate() -> None:
    times = list(arrivals(poisson(100, 300), ALONE, 1))

    assert count_between(times, 0, 50) == pytest.approx(7_500, abs=4 * 7_500**0.5)
    assert count_between(times, 50, 100) == pytest.approx(12_500, abs=4 * 12_500**0.5)
    assert times == sorted(times)


def test_processes_have_poisson_arrivals_of_their_own_that_add_up() -> None:
    dealt = [list(arrivals(poisson(300), Share(index, 3), 1)) for index in range(3)]

    assert [len(each) for each in dealt] == pytest.approx([10_000] * 3, abs=400)
    assert len(set(itertools.chain(*dealt))) == sum(map(len, dealt))


def test_a_seed_gives_the_same_times_and_another_gives_others() -> None:
    one, again, other = (list(arrivals(poisson(50), ALONE, seed)) for seed in (1, 1, 2))

    assert one == again
    assert not set(one) & set(other)


def test_a_day_of_a_million_per_second_begins_at_once() -> None:
    asked = poisson(1_000_000, seconds=86_400)

    assert len(list(itertools.islice(arrivals(asked, ALONE, 1), 3))) == 3


def test_a_recording_is_dealt_out_with_the_places_of_its_times() -> None:
    times = [-2.0, -0.5, 0.0, 0.1, 0.2, 4.0]
    asked = stage(1, seconds=3, warmup_s=1)

    assert list(recorded(times, asked, Share(0, 2))) == [(0.0, 2), (0.2, 4)]
    assert list(recorded(times, asked, Share(1, 2))) == [(-0.5, 1), (0.1, 3)]


def test_what_does_not_divide_goes_to_the_first_processes() -> None:
    assert [Share(index, 3).of(8) for index in range(3)] == [3, 3, 2]


@given(
    st.floats(0.1, 1e5), st.floats(0.1, 1e5), st.floats(-100, 0), st.floats(0, 1), st.floats(1, 1e3)
)
def test_time_and_number_of_calls_are_each_others_inverse(
    begin: float, end: float, before: float, share: float, seconds: float
) -> None:
    ramp = Ramp.of(OpenLoop(rate_per_s=begin, end_rate_per_s=end), seconds)

    for time_s in (before, share * seconds):
        found = ramp.time_of(ramp.calls_until(time_s))
        assert found == pytest.approx(time_s, rel=1e-4, abs=1e-6 * seconds)
