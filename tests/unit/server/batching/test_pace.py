"""What a batch is expected to take."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve_server.batching.pace import Pace
from recserve_server.config import BatchingConfig

SECONDS = st.floats(1e-4, 1e2)


def after(runs_s: Iterable[float]) -> Pace:
    """Returns the pace of a model whose batches took so long, one after the other."""
    pace = Pace(BatchingConfig())
    for run_s in runs_s:
        pace.answered(run_s)
    return pace


@given(st.lists(SECONDS, min_size=1))
def test_a_batch_is_expected_to_take_no_more_or_less_than_any_did(runs_s: list[float]) -> None:
    expected_s = after(runs_s).batch_s

    assert expected_s >= min(runs_s) or expected_s == pytest.approx(min(runs_s))
    assert expected_s <= max(runs_s) or expected_s == pytest.approx(max(runs_s))


@given(st.lists(SECONDS, min_size=1), st.floats(8.1, 1e4))
def test_one_that_is_odd_changes_nothing_and_two_in_a_row_change_all(
    runs_s: list[float], factor: float
) -> None:
    usual_s = after([*runs_s, 1.0, 1.0]).batch_s

    for odd_s in (usual_s * factor, usual_s / factor):
        assert after([*runs_s, 1.0, 1.0, odd_s]).batch_s == usual_s
        assert after([*runs_s, 1.0, 1.0, odd_s, odd_s]).batch_s == odd_s


def test_times_that_scatter_are_followed_by_their_mean() -> None:
    rng = np.random.default_rng(3)
    expected_s = []
    for _ in range(100):
        runs_s = rng.lognormal(-0.125, 0.5, size=50)  # mean 1
        expected_s.append(after(runs_s.tolist()).batch_s)

    assert np.mean(expected_s) == pytest.approx(1.0, abs=0.05)
    assert np.std(expected_s) < 0.25  # that of the last one alone is 0.53
