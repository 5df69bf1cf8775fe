import copy
import dataclasses
import pickle
from datetime import UTC, datetime

import pytest

from recserve_client import (
    Diversity,
    Event,
    EventType,
    Filter,
    HistoryEntry,
    InvalidRequestError,
)

VALUES = [
    HistoryEntry("50", 4.5, datetime(2026, 1, 31, tzinfo=UTC)),
    Filter.any_of("genres", ["Comedy"]),
    Filter.between("year", 1990),
    Diversity(0.3, {"genres": 3}),
    Event("42", "50", EventType.LIKE),
]


@pytest.mark.parametrize("value", VALUES)
def test_values_are_frozen_hashable_and_survive_copy_and_pickle(value) -> None:
    assert {value, copy.deepcopy(value), pickle.loads(pickle.dumps(value))} == {value}
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(value)[0].name, "other")


@pytest.mark.parametrize(
    "each",
    [
        Filter.any_of("genres", ["Comedy", "It's"]),
        Filter.all_of("genres", ["Comedy"]),
        Filter.none_of("genres", ()),
        Filter.between("year", 1990, 1999.5),
        Filter.between("year", None, 0),
    ],
)
def test_the_repr_of_a_filter_is_the_call_that_makes_it(each) -> None:
    assert repr(each).startswith("Filter.")
    assert eval(repr(each)) == each


def test_filters_of_different_conditions_differ() -> None:
    made = {Filter.any_of("a", ["b"]), Filter.all_of("a", ["b"]), Filter.none_of("a", ["b"])}

    assert len(made) == 3


@pytest.mark.parametrize("values", ["Comedy", b"bytes", 3, None])
@pytest.mark.parametrize("make", [Filter.any_of, Filter.all_of, Filter.none_of])
def test_one_text_is_no_sequence_of_values(make, values) -> None:
    with pytest.raises(InvalidRequestError, match=r"filter on genres: is .*, must be a sequence"):
        make("genres", values)


def test_each_event_gets_an_id_of_its_own() -> None:
    ids = {Event("42", "50", EventType.VIEW).event_id for _ in range(100)}

    assert len(ids) == 100
    assert {len(each) for each in ids} == {32}
