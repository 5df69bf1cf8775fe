import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve_trainer.features import Feature, FeatureLimits, encode, fit_features
from recserve_trainer.tables import Column, category_column, number_column


def rows(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.int32)


def test_a_number_is_standardised_and_says_where_it_is_missing() -> None:
    columns = {"year": number_column([1990, 2000, None, 2010])}

    [feature] = fit_features(columns, rows(4))
    encoded = encode([feature], columns, 4)

    assert (feature.kind, feature.mean, feature.width) == ("number", 2000, 2)
    unit = 10 / feature.deviation
    assert encoded[:, 0] == pytest.approx([-unit, 0, 0, unit])
    assert encoded[:, 1].tolist() == [0, 0, 1, 0]
    assert encoded.dtype == np.float32


@pytest.mark.parametrize("values", [[5, 5, 5], [float("inf"), 5.0, float("nan")]])
def test_a_number_that_never_changes_or_is_none_stays_finite(values: list[float]) -> None:
    columns = {"price": number_column(values)}

    assert np.isfinite(encode(fit_features(columns, rows(3)), columns, 3)).all()


def test_a_column_without_any_number_is_left_out() -> None:
    assert (
        fit_features({"price": Column("number", pa.array([None, None], pa.int32()))}, rows(2)) == ()
    )


def test_the_encoding_is_learnt_from_the_given_rows_alone() -> None:
    columns = {
        "year": number_column([1, 3, 1000]),
        "genre": category_column(["a", "a", "secret"]),
    }

    year, genre = fit_features(columns, rows(2))

    assert (year.mean, year.deviation) == (2, 1)
    assert genre.vocabulary == ("a",)
    assert encode([genre], columns, 3).tolist() == [[1], [1], [0]]


def test_values_are_kept_by_frequency_then_name_and_no_more_than_allowed() -> None:
    columns = {"tags": category_column([["b", "a"], ["b", "c"], ["c", "a"], ["b", "once"]])}

    [all_of_them] = fit_features(columns, rows(4))
    [two] = fit_features(columns, rows(4), FeatureLimits(most=2))
    [four] = fit_features(columns, rows(4), FeatureLimits(fewest=1))

    assert all_of_them.vocabulary == ("b", "a", "c")
    assert two.vocabulary == ("b", "a")
    assert four.vocabulary == ("b", "a", "c", "once")


def test_a_text_is_its_words_whatever_their_case() -> None:
    columns = {"title": Column("text", pa.array(["The Die-Hard (1988)", "die, die!", None]))}

    [title] = fit_features(columns, rows(3))

    assert title.vocabulary == ("die",)
    assert encode([title], columns, 3).tolist() == [[1], [1], [0]]


def test_a_column_that_is_not_there_is_missing_everywhere() -> None:
    features = [Feature("age", "number", mean=30, deviation=5), Feature("job", "category", ("x",))]

    assert encode(features, {}, 2).tolist() == [[0, 1, 0], [0, 1, 0]]


@given(st.lists(st.lists(st.sampled_from("abcdef"), max_size=4), min_size=1, max_size=12))
def test_a_category_has_a_one_for_each_known_value_and_nothing_else(
    values: list[list[str]],
) -> None:
    columns = {"genres": category_column(values)}
    features = fit_features(columns, rows(len(values)))

    encoded = encode(features, columns, len(values))

    vocabulary = features[0].vocabulary if features else ()
    for row, of_row in zip(encoded, values, strict=True):
        assert row.tolist() == [float(value in of_row) for value in vocabulary]
