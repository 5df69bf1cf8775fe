import pytest
import timings

from recserve_client.loadtest.stability import is_stable


def seconds(*latencies_ms: float) -> list:
    return [timings.window([each] * 10) for each in latencies_ms]


@pytest.mark.parametrize(
    ("latencies_ms", "stable"),
    [
        ((10.0, 10.0, 10.0), True),
        ((9.5, 10.0, 10.5), True),
        ((10.0, 10.0, 11.5), True),  # mean 10.5, 9.5 % above it
        ((10.0, 10.0, 11.8), False),  # mean 10.6, 11.3 % above it
        ((8.5, 10.0, 10.4), False),
        ((10.0, 20.0, 30.0, 10.0, 20.0, 30.0, 10.0, 20.0, 30.0), True),
        ((10.0, 10.0, 10.0, 10.0, 10.0, 20.0), False),
        ((10.0, 10.0, 10.0, 10.0, 10.0), True),
    ],
)
def test_a_stage_is_stable_if_p99_of_its_thirds_is_alike(
    latencies_ms: tuple[float, ...], stable: bool
) -> None:
    assert is_stable(seconds(*latencies_ms)) is stable


def test_a_short_stage_may_be_stable_or_not() -> None:
    assert is_stable([]) is None
    assert is_stable(seconds(10.0, 10.0)) is None


def test_a_third_without_an_answer_tells_nothing() -> None:
    silent = timings.window([], failed=10)
    assert is_stable([*seconds(10.0, 10.0), silent]) is None
    assert is_stable([*seconds(10.0, 10.0, 10.0, 10.0, 10.0), silent]) is True
