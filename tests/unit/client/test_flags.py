"""What people write after a flag, and what is made of it."""

from argparse import ArgumentTypeError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve_client import EventType, Filter, HistoryEntry, ItemView
from recserve_client._cli import flags


def quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def written(item_filter: Filter) -> str:
    """Writes a filter as a person who quotes every value would."""
    if item_filter.kind == "range":
        least, greatest = (
            "" if end is None else repr(end) for end in (item_filter.minimum, item_filter.maximum)
        )
        return f"{item_filter.attribute} range {least}..{greatest}"
    values = ",".join(map(quoted, item_filter.values))
    return f"{item_filter.attribute} {item_filter.kind} {values}"


# Anything that a terminal can pass on, save NUL.
texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1)
attributes = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]*", fullmatch=True)
numbers = st.floats(allow_nan=False, allow_infinity=False)
filters = st.one_of(
    st.builds(Filter.any_of, attributes, st.lists(texts, min_size=1)),
    st.builds(Filter.all_of, attributes, st.lists(texts, min_size=1)),
    st.builds(Filter.none_of, attributes, st.lists(texts, min_size=1)),
    st.builds(Filter.between, attributes, numbers, st.none() | numbers),
    st.builds(Filter.between, attributes, st.none(), numbers),
)


@given(filters)
def test_a_filter_that_is_written_down_reads_as_itself(item_filter) -> None:
    assert flags.item_filter(written(item_filter)) == item_filter


@given(st.lists(texts, min_size=1))
def test_values_in_quotes_read_as_themselves(values) -> None:
    assert flags.values(",".join(map(quoted, values))) == tuple(values)


@given(texts)
def test_whatever_is_written_is_read_or_refused_with_what_is_allowed(text) -> None:
    for read in (flags.item_filter, flags.values, flags.history, flags.feature, flags.cap):
        assert "must" in refusal_of(read, text)


def refusal_of(read, text: str) -> str:
    try:
        return f"must have been {read(text)}"
    except ArgumentTypeError as refusal:
        return str(refusal)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("genres any Comedy,Drama", Filter.any_of("genres", ["Comedy", "Drama"])),
        ("genres any Comedy, Drama", Filter.any_of("genres", ["Comedy", "Drama"])),
        ("  genres  all  Film Noir", Filter.all_of("genres", ["Film Noir"])),
        ("genres none any,none", Filter.none_of("genres", ["any", "none"])),
        ('genres any "Comedy, dark",Drama', Filter.any_of("genres", ["Comedy, dark", "Drama"])),
        ('size any 3" disk', Filter.any_of("size", ['3" disk'])),
        ("release year range 1990..1999", Filter.between("release year", 1990, 1999)),
        ("year range 1990..", Filter.between("year", 1990)),
        ("year range ..1999", Filter.between("year", None, 1999)),
        ("year range -1.5..-.5", Filter.between("year", -1.5, -0.5)),
        ("year range 1e3..+2E3", Filter.between("year", 1000, 2000)),
    ],
)
def test_a_filter_is_read_as_people_write_it(text, expected) -> None:
    assert flags.item_filter(text) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "is '', must be 'ATTRIBUTE any|all|none VALUE,...' or 'ATTRIBUTE range MIN..MAX'"),
        ("genres", "is 'genres', must be 'ATTRIBUTE any"),
        ("genres is Comedy", "is 'genres is Comedy', must be 'ATTRIBUTE any"),
        ("any Comedy", "is 'any Comedy', must be 'ATTRIBUTE any"),
        ("genres any ", "is '', must have no empty value"),
        ("genres any Comedy,,Drama", "is 'Comedy,,Drama', must have no empty value"),
        ('genres any "Comedy', "is '\"Comedy', must be values between commas, in double quotes"),
        ("year range 1990", "has the range '1990', must be MIN..MAX, MIN.. or ..MAX with finite"),
        ("year range ..", "has the range '..', must be MIN..MAX"),
        ("year range 1990..soon", "has the range '1990..soon', must be MIN..MAX"),
        ("year range nan..1", "has the range 'nan..1', must be MIN..MAX"),
        ("year range 1..1e999", "has the range '1..1e999', must be MIN..MAX"),
        ("year range 1_0..20", "has the range '1_0..20', must be MIN..MAX"),
    ],
)
def test_a_filter_that_cannot_be_read_says_what_was_seen_and_what_is_allowed(
    text, complaint
) -> None:
    with pytest.raises(ArgumentTypeError) as caught:
        flags.item_filter(text)

    assert str(caught.value).startswith(complaint)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", [HistoryEntry("1")]),
        ("1,50=4.5", [HistoryEntry("1"), HistoryEntry("50", 4.5)]),
        ("50=-1", [HistoryEntry("50", -1.0)]),
        ("YQ==", [HistoryEntry("YQ==")]),
        ("a=b", [HistoryEntry("a=b")]),
        ("a=5=3", [HistoryEntry("a=5", 3.0)]),
        ("=5", [HistoryEntry("=5")]),
        ('"a,b=2"', [HistoryEntry("a,b", 2.0)]),
    ],
)
def test_a_history_has_ids_and_ratings(text, expected) -> None:
    assert flags.history(text) == tuple(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age=25", ("age", 25.0)),
        ("age=-2.5e1", ("age", -25.0)),
        ("job=writer, poet", ("job", "writer, poet")),
        ('zip="02139"', ("zip", "02139")),
        ("job=a=b", ("job", "a=b")),
        ("job=", ("job", "")),
        ('job="', ("job", '"')),
        ("age=nan", ("age", "nan")),
    ],
)
def test_a_feature_is_a_number_if_it_reads_as_one_and_is_not_quoted(text, expected) -> None:
    assert flags.feature(text) == expected


def test_a_cap_is_a_count_by_attribute() -> None:
    assert flags.cap("genres=3") == ("genres", 3)


@pytest.mark.parametrize(
    ("read", "text", "allowed"),
    [
        (flags.feature, "age", "must be NAME=VALUE"),
        (flags.feature, "=25", "must be NAME=VALUE"),
        (flags.cap, "genres", "must be ATTRIBUTE=COUNT"),
        (flags.cap, "=3", "must be ATTRIBUTE=COUNT"),
        (flags.cap, "genres=few", "must be a whole number from 1"),
        (flags.cap, "genres=0", "must be a whole number from 1"),
        (flags.positive_int, "1.5", "must be a whole number from 1"),
        (flags.finite_number, "inf", "must be a finite number"),
        (flags.view, "all", "must be one of basic, full"),
        (flags.event_type, "stare", "must be one of view, click, like, rating"),
    ],
)
def test_a_value_that_cannot_be_read_says_what_is_allowed(read, text, allowed) -> None:
    with pytest.raises(ArgumentTypeError) as caught:
        read(text)

    assert str(caught.value).endswith(allowed)


def test_enums_are_read_by_value() -> None:
    assert flags.view("full") is ItemView.FULL
    assert flags.event_type("like") is EventType.LIKE
