"""Arguments to the messages that carry them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_client import (
    Diversity,
    Filter,
    HistoryEntry,
    InvalidRequestError,
    ItemView,
    Priority,
    RankItemsOptions,
    RecommendOptions,
    SimilarItemsOptions,
)
from recserve_client._requests import (
    batch_recommend_request,
    rank_items_request,
    recommend_request,
    similar_items_request,
)

NOON = datetime(2026, 1, 31, 12, 0, 0, 500_000, tzinfo=timezone(timedelta(hours=2)))
NOON_IN_UTC = Timestamp(seconds=int(datetime(2026, 1, 31, 10, tzinfo=UTC).timestamp()))
NOON_IN_UTC.nanos = 500_000_000


def refused(call, *arguments) -> tuple[str, str]:
    """Returns the place and the text of the only violation."""
    with pytest.raises(InvalidRequestError) as caught:
        call(*arguments)
    (violation,) = caught.value.violations
    assert str(caught.value) == f"{violation.field}: {violation.description}"
    return violation.field, violation.description


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({}, {}),
        ({"k": 3}, {"k": 3}),
        ({"model": "films"}, {"model": "films"}),
        ({"model_version": 2**53}, {"model_version": 2**53}),
        ({"model_label": "canary"}, {"model_label": "canary"}),
        ({"priority": Priority.BATCH}, {}),
        ({"include_seen": True}, {"include_seen": True}),
        ({"strict": True}, {"strict": True}),
        ({"explain": True}, {"explain": True}),
        ({"excluded_item_ids": ("1", "2")}, {"excluded_item_ids": ["1", "2"]}),
        ({"allowed_item_ids": iter(["5", "6"])}, {"allowed_item_ids": ["5", "6"]}),
        ({"view": ItemView.BASIC}, {"view": pb.ITEM_VIEW_BASIC}),
        ({"view": ItemView.FULL}, {"view": pb.ITEM_VIEW_FULL}),
        ({"view": "full"}, {"view": pb.ITEM_VIEW_FULL}),
        ({"history": None, "features": None, "diversity": None}, {}),
        ({"history": ["1", "2"]}, {"history": [{"item_id": "1"}, {"item_id": "2"}]}),
        (
            {"history": [HistoryEntry("1", 0, NOON), "2"]},
            {"history": [{"item_id": "1", "rating": 0.0, "time": NOON_IN_UTC}, {"item_id": "2"}]},
        ),
        (
            {"features": {"age": 25, "height": 1.5, "zip": "02139"}},
            {
                "features": [
                    {"name": "age", "number": 25.0},
                    {"name": "height", "number": 1.5},
                    {"name": "zip", "text": "02139"},
                ]
            },
        ),
        (
            {"filters": [Filter.any_of("genres", ["Comedy", "Drama"])]},
            {"filters": [{"attribute": "genres", "any": {"values": ["Comedy", "Drama"]}}]},
        ),
        (
            {"filters": [Filter.all_of("genres", ["Comedy"]), Filter.none_of("genres", ["War"])]},
            {
                "filters": [
                    {"attribute": "genres", "all": {"values": ["Comedy"]}},
                    {"attribute": "genres", "none": {"values": ["War"]}},
                ]
            },
        ),
        (
            {"filters": [Filter.between("year", 1990, 1999.5), Filter.between("year", 0)]},
            {
                "filters": [
                    {"attribute": "year", "range": {"min": 1990.0, "max": 1999.5}},
                    {"attribute": "year", "range": {"min": 0.0}},
                ]
            },
        ),
        (
            {"filters": [Filter.between("year", maximum=0)]},
            {"filters": [{"attribute": "year", "range": {"max": 0.0}}]},
        ),
        # For the server to refuse: these have a condition, if an empty one.
        (
            {"filters": [Filter.between("year"), Filter.any_of("genres", [])]},
            {
                "filters": [
                    {"attribute": "year", "range": {}},
                    {"attribute": "genres", "any": {}},
                ]
            },
        ),
        ({"diversity": Diversity()}, {"diversity": {}}),
        (
            {"diversity": Diversity(0.25, {"genres": 3})},
            {"diversity": {"lambda": 0.25, "caps": [{"attribute": "genres", "max_count": 3}]}},
        ),
    ],
)
def test_every_option_has_its_field(options, fields) -> None:
    assert recommend_request("42", options) == pb.RecommendRequest(
        **({"user_id": "42", "k": 10} | fields)
    )


@pytest.mark.parametrize(
    ("options", "message", "explicit"),
    [
        (RecommendOptions, pb.RecommendRequest, {"user_id"}),
        (SimilarItemsOptions, pb.FindSimilarItemsRequest, {"item_ids"}),
        (RankItemsOptions, pb.RankItemsRequest, {"item_ids", "user_id"}),
    ],
)
def test_the_options_are_the_fields_of_the_message(options, message, explicit) -> None:
    fields = {field.name for field in message.DESCRIPTOR.fields}

    assert set(options.__annotations__) == fields - explicit | {"priority"}
    assert not options.__required_keys__


def test_nobody_is_named_by_an_empty_user() -> None:
    request = recommend_request("", {"history": ["1"]})

    assert request.WhichOneof("query") is None


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        (recommend_request, ("42",)),
        (batch_recommend_request, (["42"],)),
        (similar_items_request, ("50",)),
        (rank_items_request, (["50"], "42")),
    ],
)
def test_an_option_that_a_call_does_not_have_is_a_type_error(call, arguments) -> None:
    with pytest.raises(TypeError, match="there is no option 'kk' for a "):
        call(*arguments, {"kk": 3})


@pytest.mark.parametrize(
    ("options", "place", "text"),
    [
        ({"k": "10"}, "k", "is '10', must be an int of 32 bits"),
        ({"k": 2**31}, "k", "is 2147483648, must be an int of 32 bits"),
        ({"k": 1.5}, "k", "is 1.5, must be an int of 32 bits"),
        ({"model": 7}, "model", "is 7, must be a str"),
        ({"model_label": 7}, "model_label", "is 7, must be a str"),
        ({"model_version": 2**63}, "model_version", f"is {2**63}, must be an int of 64 bits"),
        ({"include_seen": "no"}, "include_seen", "is 'no', must be a bool"),
        ({"strict": None}, "strict", "is None, must be a bool"),
        (
            {"excluded_item_ids": "12"},
            "excluded_item_ids",
            "is '12', must be a sequence of item ids",
        ),
        ({"excluded_item_ids": ["1", 2]}, "excluded_item_ids[1]", "is 2, must be a str"),
        ({"allowed_item_ids": 5}, "allowed_item_ids", "is 5, must be a sequence of item ids"),
        (
            {"history": "12"},
            "history",
            "is '12', must be a sequence of item ids or HistoryEntry",
        ),
        ({"history": ["1", 2]}, "history[1]", "is 2, must be an item id or a HistoryEntry"),
        ({"history": [HistoryEntry(2)]}, "history[0].item_id", "is 2, must be a str"),
        (
            {"history": [HistoryEntry("2", "good")]},
            "history[0].rating",
            "is 'good', must be a number",
        ),
        (
            {"history": [HistoryEntry("2", time=0)]},
            "history[0].time",
            "is 0, must be a datetime with a time zone",
        ),
        (
            {"features": [("age", 25)]},
            "features",
            "is [('age', 25)], must be a mapping from name to number or str",
        ),
        ({"features": {3: 4}}, "features[0].name", "is 3, must be a str"),
        ({"features": {"age": [25]}}, "features[0].number", "is [25], must be a number"),
        ({"features": {"adult": True}}, "features[0]", "is True, must be a number or a str"),
        ({"filters": ["genres any War"]}, "filters[0]", "is 'genres any War', must be a Filter"),
        (
            {"filters": [Filter.any_of("genres", [3])]},
            "filters[0].any.values[0]",
            "is 3, must be a str",
        ),
        (
            {"filters": [Filter.between("year", "1990")]},
            "filters[0].range.min",
            "is '1990', must be a number",
        ),
        ({"diversity": 0.3}, "diversity", "is 0.3, must be a Diversity"),
        ({"diversity": Diversity("x")}, "diversity.lambda", "is 'x', must be a number"),
        (
            {"diversity": Diversity(caps={"genres": 1.5})},
            "diversity.caps[0].max_count",
            "is 1.5, must be an int of 32 bits",
        ),
        (
            {"diversity": Diversity(caps=[])},
            "diversity.caps",
            "is [], must be a mapping from attribute to int",
        ),
        ({"view": "all"}, "view", "is 'all', must be one of basic, full"),
        ({"view": 2}, "view", "is 2, must be one of basic, full"),
    ],
)
def test_an_option_that_cannot_be_sent_is_refused_by_place(options, place, text) -> None:
    assert refused(recommend_request, "42", options) == (place, text)


@pytest.mark.parametrize("user_id", [42, None, "\ud800"])
def test_a_user_that_cannot_be_sent_is_refused(user_id) -> None:
    place, text = refused(recommend_request, user_id, {})

    assert (place, text) == ("user_id", f"is {user_id!r}, must be a str")


def test_a_time_without_a_zone_is_refused() -> None:
    options = {"history": [HistoryEntry("1", time=NOON.replace(tzinfo=None))]}

    place, text = refused(recommend_request, "42", options)

    assert place == "history[0].time"
    assert text.endswith("must be a datetime with a time zone")


def test_a_batch_asks_for_each_user_what_would_be_asked_for_one() -> None:
    options = {"k": 3, "history": ["1"], "filters": [Filter.any_of("genres", ["War"])]}

    built = batch_recommend_request(["42", "7", "42"], options)

    assert list(built.requests) == [recommend_request(user, options) for user in ("42", "7", "42")]


@pytest.mark.parametrize("users", [0, 257])
def test_how_many_users_a_batch_may_have_is_left_to_the_server(users) -> None:
    assert len(batch_recommend_request(["42"] * users, {}).requests) == users


def test_users_that_can_be_read_only_once_are_read_once() -> None:
    built = batch_recommend_request(iter(["42", "7"]), {})

    assert [each.user_id for each in built.requests] == ["42", "7"]


@pytest.mark.parametrize(
    ("users", "options", "place"),
    [
        (["42", "7", 42], {}, "requests[2].user_id"),
        (["42"], {"k": "10"}, "requests[0].k"),
        (["42"], {"history": [1]}, "requests[0].history[0]"),
        (["42"], {"filters": [Filter.any_of("a", [1])]}, "requests[0].filters[0].any.values[0]"),
        ("42", {}, "user_ids"),
        (None, {}, "user_ids"),
    ],
)
def test_a_batch_that_cannot_be_sent_is_refused_by_place(users, options, place) -> None:
    assert refused(batch_recommend_request, users, options)[0] == place
