import math

import pytest

from recserve_client import (
    Diversity,
    Filter,
    InvalidRequestError,
    RecommenderClient,
)
from recserve_client.testing import FakeServer


def ids(ranking) -> list[str]:
    return [item.item_id for item in ranking]


def test_ten_items_come_back_unless_k_says_otherwise() -> None:
    with FakeServer() as server, RecommenderClient(server.target) as client:
        assert len(client.recommend("42")) == 10
        assert len(client.recommend("42", k=0)) == 10
        assert len(client.recommend("42", k=3)) == 3
        assert not client.recommend("42").is_short


def test_a_list_for_which_there_are_too_few_items_is_short(client) -> None:
    assert client.recommend("ann", k=6).is_short
    assert not client.recommend("ann", k=5).is_short


@pytest.mark.parametrize("k", [-1, 501])
def test_k_out_of_range_is_named(ask, k) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        ask("recommend", "ann", k=k)

    assert caught.value.reason == "INVALID_FIELDS"
    assert [each.field for each in caught.value.violations] == ["k"]


def test_the_largest_k_may_be_set(server, client) -> None:
    server.model.max_k = 2

    assert len(client.recommend("ann", k=0)) == 2
    with pytest.raises(InvalidRequestError, match="from 1 to 2"):
        client.recommend("ann", k=3)


def test_excluded_items_never_come_back_and_unknown_ones_are_counted(ask) -> None:
    answer = ask("recommend", "nobody", excluded_item_ids=["alien", "et", "no such item"])

    assert ids(answer) == ["brazil", "casablanca", "duck", "untold"]
    assert answer.unknown_excluded_count == 1


def test_only_allowed_items_come_back(client) -> None:
    answer = client.recommend("nobody", allowed_item_ids=["duck", "brazil", "no such item"])

    assert ids(answer) == ["brazil", "duck"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ([Filter.any_of("genres", ["Comedy", "War"])], ["brazil", "casablanca", "duck"]),
        ([Filter.all_of("genres", ["Comedy", "Sci-Fi"])], ["brazil"]),
        ([Filter.none_of("genres", ["Sci-Fi"])], ["casablanca", "duck", "untold"]),
        ([Filter.between("year", 1979, 1982)], ["alien", "et"]),
        ([Filter.between("year", maximum=1942)], ["casablanca", "duck"]),
        ([Filter.any_of("genres", ["Sci-Fi"]), Filter.between("year", 1980)], ["et", "brazil"]),
        ([Filter.any_of("genres", ["comedy"])], []),
    ],
)
def test_all_filters_hold(client, filters, expected) -> None:
    assert ids(client.recommend("nobody", filters=filters)) == expected


@pytest.mark.parametrize(
    ("condition", "field"),
    [
        (Filter.any_of("colour", ["red"]), "filters[0].attribute"),
        (Filter.any_of("year", ["1979"]), "filters[0].any"),
        (Filter.between("genres", 1), "filters[0].range"),
        (Filter.between("year", 2, 1), "filters[0].range"),
        (Filter.between("year", math.nan), "filters[0].range.min"),
        (Filter.all_of("genres", []), "filters[0].all.values"),
    ],
)
def test_a_wrong_filter_is_named(client, condition, field) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        client.recommend("nobody", filters=[condition])

    assert field in [each.field for each in caught.value.violations]


def test_caps_hold(client) -> None:
    answer = client.recommend("nobody", diversity=Diversity(caps={"genres": 1}))

    assert ids(answer) == ["alien", "casablanca", "duck", "untold"]


def test_a_weight_puts_different_items_first(client) -> None:
    answer = client.recommend("nobody", k=2, diversity=Diversity(weight=0.9))

    assert ids(answer) == ["alien", "casablanca"]


def test_more_than_sixteen_violations_are_counted(client) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        client.recommend_batch(["x" * 129] * 40)

    assert len(caught.value.violations) == 17
    assert caught.value.violations[-1].description == "have 24 more violations"


def test_a_list_is_continued_without_repeats(ask) -> None:
    first = ask("recommend", "cid", k=4)
    second = ask("more", first)

    assert len({*ids(first), *ids(second)}) == 6
