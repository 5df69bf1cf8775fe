import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recserve_trainer import features
from recserve_trainer.features import encode, fit_features
from recserve_trainer.learning.attribute_mapping import Attributes, NormalEquations, map_attributes
from recserve_trainer.tables import category_column, number_column

ROWS = 60
RANDOM = np.random.default_rng(0)
COLUMNS = {
    "genre": category_column([str(row % 3) for row in range(ROWS)]),
    "year": number_column(RANDOM.integers(1950, 2000, ROWS).tolist()),
}
FEATURES = fit_features(COLUMNS, np.arange(ROWS, dtype=np.int32))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), l2=st.sampled_from([0.1, 1.0, 30.0]))
def test_the_solution_is_where_the_penalised_squares_have_no_slope(seed: int, l2: float) -> None:
    random = np.random.default_rng(seed)
    features, targets = random.normal(size=(20, 4)), random.normal(size=(20, 3))
    row_weights = random.random(20)
    equations = NormalEquations(4, 3)
    for rows in (slice(0, 7), slice(7, 20)):
        equations.add(features[rows], targets[rows], row_weights[rows])

    weights = equations.solve(l2)

    errors = features @ weights[:-1] + weights[-1] - targets
    slope = features.T @ (row_weights[:, None] * errors) + l2 * weights[:-1]
    assert np.abs(slope).max() < 1e-8
    # The constant is free: what is left over adds up to nothing.
    assert np.abs(row_weights @ errors).max() < 1e-6


def test_without_any_row_everything_is_zero() -> None:
    assert not NormalEquations(2, 2).solve(1.0).any()


@pytest.mark.parametrize("rows_at_once", [7, 8192])
def test_rows_get_the_vectors_that_their_attributes_make_likely(
    monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    monkeypatch.setattr(features, "_ROWS_AT_ONCE", rows_at_once)
    encoded = encode(FEATURES, COLUMNS, ROWS)
    vectors = (encoded @ RANDOM.normal(size=(encoded.shape[1], 4)) + 2).astype(np.float32)
    weights = np.ones(ROWS)
    weights[::5] = 0  # without a vector of their own
    targets = vectors.copy()
    targets[::5] = 1000

    mapped = map_attributes(Attributes(COLUMNS, FEATURES), targets, weights, 1e-4)

    assert mapped == pytest.approx(vectors, abs=0.01)


def test_the_more_a_row_weighs_the_closer_it_is_met() -> None:
    targets = np.where(np.arange(ROWS) < 30, 1, -1).astype(np.float32)[:, None]
    same = {"genre": category_column(["x"] * ROWS)}
    features = fit_features(same, np.arange(ROWS, dtype=np.int32))

    def first(weight: float) -> float:
        weights = np.where(np.arange(ROWS) < 30, weight, 1)
        return float(map_attributes(Attributes(same, features), targets, weights, 1.0)[0, 0])

    assert first(1) == pytest.approx(0, abs=1e-6)
    assert first(3) == pytest.approx(0.5, abs=1e-6)
