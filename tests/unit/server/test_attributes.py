import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve_server.answering import attributes
from recserve_server.answering.attributes import ItemAttributes
from recserve_server.query import Attribute, Filter, Match, RangeFilter, TextFilter

TEXTS = st.sampled_from(["Comedy", "comedy", "Drama", "", "Ünder"])
NUMBERS = st.one_of(st.none(), st.sampled_from([math.nan, -1.5, 0.0, 3.0, 1990.0]))
TEXT_FILTERS = st.builds(
    TextFilter,
    st.sampled_from(["genre", "genres"]),
    st.sampled_from(Match),
    st.frozensets(st.one_of(TEXTS, st.just("unheard of")), min_size=1, max_size=3),
)
RANGES = st.tuples(st.sampled_from([-math.inf, -1.5, 0, 3]), st.sampled_from([0, 3, math.inf]))
FILTERS = st.one_of(TEXT_FILTERS, RANGES.map(lambda ends: RangeFilter("year", *ends)))


@st.composite
def columns(draw: st.DrawFn) -> dict[str, list]:
    count = draw(st.integers(1, 8))

    def column(values: st.SearchStrategy) -> list:
        return draw(st.lists(values, min_size=count, max_size=count))

    return {
        "genre": column(st.one_of(st.none(), TEXTS)),
        "genres": column(st.one_of(st.none(), st.lists(st.one_of(st.none(), TEXTS), max_size=3))),
        "year": column(NUMBERS),
    }


def subject(values: dict[str, list]) -> ItemAttributes:
    kinds = {"genre": pa.string(), "genres": pa.list_(pa.string()), "year": pa.float64()}
    arrays = {name: pa.array(column, kinds[name]) for name, column in values.items()}
    return ItemAttributes(arrays, len(values["year"]))


def fulfils(values: dict[str, list], row: int, condition: Filter) -> bool:
    value = values[condition.attribute][row]
    if isinstance(condition, RangeFilter):
        return value is not None and condition.least <= value <= condition.greatest
    has = {value} if isinstance(value, str) else {each for each in value or () if each is not None}
    if condition.match is Match.NONE:
        return not has & condition.values
    if condition.match is Match.ALL:
        return condition.values <= has
    return bool(has & condition.values)


@given(
    columns(), st.frozensets(FILTERS, max_size=3), st.one_of(st.none(), st.sets(st.integers(0, 7)))
)
def test_a_mask_says_of_each_item_what_its_attributes_say(
    values: dict[str, list], filters: frozenset[Filter], allowed: set[int] | None
) -> None:
    attributes, count = subject(values), len(values["year"])
    rows = None if allowed is None else np.array([row for row in allowed if row < count], np.int32)

    for _ in range(2):  # the second time from memory
        mask = attributes.mask(filters, rows)

        assert mask.tolist() == [
            (allowed is None or row in allowed)
            and all(fulfils(values, row, each) for each in filters)
            for row in range(count)
        ]


@given(columns())
def test_values_are_what_the_table_holds_without_what_is_missing(values: dict[str, list]) -> None:
    attributes = subject(values)

    for row in range(len(values["year"])):
        told = dict(attributes.values(row))
        year, genre = values["year"][row], values["genre"][row]
        genres = tuple(each for each in values["genres"][row] or () if each is not None)
        assert told.get("year") == (None if year is None or math.isnan(year) else year)
        assert told.get("genre") == (None if genre is None else (genre,))
        assert told.get("genres") == (genres or None)


def test_equal_filters_share_a_mask_that_nobody_can_write_to() -> None:
    attributes = subject({"genre": ["a", "b"], "genres": [[], None], "year": [1.0, 2.0]})
    filters = frozenset({RangeFilter("year", 2)})

    first, second = attributes.mask(filters), attributes.mask(frozenset(filters))

    assert first is second
    with pytest.raises(ValueError, match="read-only"):
        first[0] = True


def test_masks_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributes, "_MOST_MASK_BYTES", 10)
    held = subject({"genre": ["a", "b"], "genres": [[], None], "year": [1.0, 2.0]})

    for least in range(50):
        held.mask(frozenset({RangeFilter("year", least)}))

    assert held._masks._bytes <= 10
    assert len(held._masks._masks) == 5


def test_the_schema_names_the_attributes_in_order() -> None:
    held = subject({"year": [1.0], "genres": [[]], "genre": ["a"]})

    assert held.schema == (
        Attribute("genre", is_number=False),
        Attribute("genres", is_number=False),
        Attribute("year", is_number=True),
    )


@pytest.mark.parametrize(
    "condition", [RangeFilter("genre"), TextFilter("year", Match.ANY, frozenset({"a"}))]
)
def test_a_filter_of_the_other_type_is_an_error(condition: Filter) -> None:
    held = subject({"year": [1.0], "genres": [[]], "genre": ["a"]})

    with pytest.raises(TypeError, match=condition.attribute):
        held.mask(frozenset({condition}))
