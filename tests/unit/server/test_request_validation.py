"""Every limit of what requests may hold, on both sides; one table per request."""

import math
from collections.abc import Callable

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_server.config import Limits
from recserve_server.errors import InvalidRequest
from recserve_server.query import (
    Attribute,
    Diversity,
    HistoryEntry,
    Match,
    Options,
    Query,
    RangeFilter,
    RankQuery,
    Schema,
    Selection,
    SimilarQuery,
    Telling,
    TextFilter,
)
from recserve_server.validation.items import parse_find_similar_items, parse_rank_items
from recserve_server.validation.recommend import parse_batch_recommend, parse_recommend

LIMITS = Limits(max_k=50)
SCHEMA = Schema(
    item_attributes=(Attribute("genres", is_number=False), Attribute("year", is_number=True)),
    user_features=(Attribute("age", is_number=True), Attribute("job", is_number=False)),
)
IDS = [f"i{row}" for row in range(10_001)]


def violations(request: object) -> dict[str, str]:
    parsers: dict[type, Callable] = {
        pb.RecommendRequest: parse_recommend,
        pb.FindSimilarItemsRequest: parse_find_similar_items,
        pb.RankItemsRequest: parse_rank_items,
    }
    try:
        parsers[type(request)](request, LIMITS, SCHEMA)
    except InvalidRequest as error:
        return {each.field: each.description for each in error.violations}
    return {}


def ask(**fields: object) -> pb.RecommendRequest:
    return pb.RecommendRequest(**{"user_id": "u"} | fields)


def text_filter(count: int = 1, kind: str = "any", attribute: str = "genres") -> pb.Filter:
    values = pb.TextValues(values=[f"v{place}" for place in range(count)])
    return pb.Filter(attribute=attribute, **{kind: values})


def range_filter(attribute: str = "year", **ends: float) -> pb.Filter:
    return pb.Filter(attribute=attribute, range=pb.NumberRange(**ends))


def varied(weight: float = 0, *caps: tuple[str, int]) -> pb.Diversity:
    limits = [pb.AttributeCap(attribute=name, max_count=count) for name, count in caps]
    return pb.Diversity(caps=limits, **{"lambda": weight})


def took(item_id: str, **fields: object) -> pb.HistoryEntry:
    return pb.HistoryEntry(item_id=item_id, **fields)


AGE = pb.UserFeature(name="age", number=30)
ALLOWED = [
    ask(),
    ask(k=50),
    pb.RecommendRequest(history=[took("i1")]),
    pb.RecommendRequest(features=[AGE]),
    ask(model_version=7),
    ask(history=[took(item_id) for item_id in IDS[:1000]]),
    ask(history=[took("x" * 128, rating=-3.5, time=Timestamp(seconds=5))]),
    ask(features=[AGE, pb.UserFeature(name="job", text="anything")]),
    ask(excluded_item_ids=IDS[:1000]),
    ask(allowed_item_ids=IDS[:10_000]),
    ask(filters=[text_filter()] * 16),
    ask(filters=[text_filter(100, kind) for kind in ("any", "all", "none")]),
    ask(filters=[range_filter(min=1), range_filter(max=2), range_filter(min=3, max=3)]),
    ask(diversity=varied(0)),
    ask(diversity=varied(1, ("genres", 1))),
    ask(view=2),
    pb.FindSimilarItemsRequest(item_ids=IDS[:100], k=50),
    pb.RankItemsRequest(user_id="u", item_ids=IDS[:1000]),
]


@pytest.mark.parametrize("request_", ALLOWED, ids=range(len(ALLOWED)))
def test_what_is_at_a_limit_is_accepted(request_: object) -> None:
    assert violations(request_) == {}


REFUSED = [
    (pb.RecommendRequest(), "user_id", "is missing, must be given, or else history or features"),
    (ask(user_id=""), "user_id", "is empty"),
    (ask(k=51), "k", "is 51, must be from 1 to 50, or 0 for 10"),
    (ask(model_version=-1), "model_version", "is -1"),
    (ask(history=[took(each) for each in IDS[:1001]]), "history", "has 1001 elements"),
    (ask(history=[took("i1"), took("")]), "history[1].item_id", "is empty"),
    (ask(history=[took("x" * 129)]), "history[0].item_id", "has 129 bytes"),
    (ask(history=[took("i", rating=math.nan)]), "history[0].rating", "is nan, must be a finite"),
    (ask(features=[pb.UserFeature(name="shoe", number=1)]), "features[0].name", "has age, job"),
    (ask(features=[pb.UserFeature(name="age", text="x")]), "features[0].text", "must be number"),
    (ask(features=[pb.UserFeature(name="job", number=1)]), "features[0].number", "must be text"),
    (ask(features=[pb.UserFeature(name="age")]), "features[0]", "has no value"),
    (ask(features=[AGE, AGE]), "features[1]", "is 'age' as [0], must be there once"),
    (ask(features=[AGE] * 65), "features", "has 65 elements, must have at most 64"),
    (
        ask(features=[pb.UserFeature(name="age", number=math.inf)]),
        "features[0].number",
        "is inf",
    ),
    (ask(excluded_item_ids=IDS[:1001]), "excluded_item_ids", "has 1001 elements"),
    (ask(excluded_item_ids=["a", "\x00"]), "excluded_item_ids[1]", "U+0000"),
    (ask(allowed_item_ids=IDS), "allowed_item_ids", "has 10001 elements"),
    (ask(filters=[text_filter()] * 17), "filters", "has 17 elements"),
    (ask(filters=[text_filter(0)]), "filters[0].any.values", "has 0 elements, must have from 1"),
    (ask(filters=[text_filter(101, "all")]), "filters[0].all.values", "has 101 elements"),
    (
        ask(filters=[text_filter(attribute="colour")]),
        "filters[0].attribute",
        "is 'colour', the model has genres, year",
    ),
    (ask(filters=[text_filter(attribute="year")]), "filters[0].any", "must be range"),
    (
        ask(filters=[range_filter("genres", min=1)]),
        "filters[0].range",
        "is on 'genres', which holds texts, must be any, all or none",
    ),
    (ask(filters=[pb.Filter(attribute="year")]), "filters[0]", "has no condition"),
    (ask(filters=[range_filter()]), "filters[0].range", "has no end"),
    (ask(filters=[range_filter(min=2, max=1)]), "filters[0].range", "is from 2 to 1"),
    (ask(filters=[range_filter(min=math.nan)]), "filters[0].range.min", "is nan"),
    (ask(diversity=varied(-0.01)), "diversity.lambda", "is -0.01, must be from 0 to 1"),
    (ask(diversity=varied(1.01)), "diversity.lambda", "is 1.01"),
    (ask(diversity=varied(math.nan)), "diversity.lambda", "is nan"),
    (ask(diversity=varied(0, ("genres", 0))), "diversity.caps[0].max_count", "is 0"),
    (ask(diversity=varied(0, ("year", 1))), "diversity.caps[0].attribute", "holds numbers"),
    (ask(diversity=varied(0, ("x", 1))), "diversity.caps[0].attribute", "the model has genres"),
    (
        ask(diversity=varied(0, ("genres", 1), ("genres", 2))),
        "diversity.caps[1]",
        "is 'genres' as [0]",
    ),
    (ask(diversity=varied(0, *[("genres", 1)] * 9)), "diversity.caps", "has 9 elements"),
    (ask(view=3), "view", "is 3, must be one of ITEM_VIEW_UNSPECIFIED"),
    (pb.FindSimilarItemsRequest(), "item_ids", "has 0 elements, must have from 1 to 100"),
    (pb.FindSimilarItemsRequest(item_ids=IDS[:101]), "item_ids", "has 101 elements"),
    (pb.FindSimilarItemsRequest(item_ids=["a"], k=51), "k", "is 51"),
    (
        pb.FindSimilarItemsRequest(item_ids=["a"], filters=[range_filter()]),
        "filters[0].range",
        "has no end",
    ),
    (pb.RankItemsRequest(user_id="u"), "item_ids", "has 0 elements"),
    (pb.RankItemsRequest(user_id="u", item_ids=IDS[:1001]), "item_ids", "has 1001 elements"),
    (pb.RankItemsRequest(user_id="u", item_ids=["a", "a"]), "item_ids[1]", "is 'a' as [0]"),
    (pb.RankItemsRequest(item_ids=["a"]), "user_id", "is missing"),
]


@pytest.mark.parametrize(
    ("request_", "field", "told"), REFUSED, ids=[f"{n} {row[1]}" for n, row in enumerate(REFUSED)]
)
def test_what_is_beyond_a_limit_is_named(request_: object, field: str, told: str) -> None:
    found = violations(request_)

    assert list(found) == [field]
    assert told in found[field]


def test_all_violations_are_told_at_once_and_sixteen_at_most() -> None:
    few = violations(ask(k=-1, view=9, filters=[range_filter()]))
    many = violations(ask(excluded_item_ids=[""] * 30))

    assert set(few) == {"k", "view", "filters[0].range"}
    assert len(many) == 17
    assert many["request"] == "have 14 more violations"


def test_a_violation_in_a_batch_has_the_place_of_its_request() -> None:
    batch = pb.BatchRecommendRequest(requests=[ask(), ask(filters=[range_filter()])])

    with pytest.raises(InvalidRequest, match=r"requests\[1\]\.filters\[0\]\.range has no end"):
        parse_batch_recommend(batch, LIMITS, lambda _: SCHEMA)


def test_a_request_with_everything_becomes_a_query_with_everything() -> None:
    request = ask(
        history=[took("i1", rating=4)],
        features=[AGE, pb.UserFeature(name="job", text="cook")],
        k=7,
        include_seen=True,
        excluded_item_ids=["i2", "i2"],
        allowed_item_ids=["i3"],
        filters=[text_filter(2, "none"), range_filter(max=1999)],
        strict=True,
        diversity=varied(0.5, ("genres", 3)),
        view="ITEM_VIEW_FULL",
        explain=True,
    )

    query = parse_recommend(request, LIMITS, SCHEMA)

    assert query == Query(
        "u",
        7,
        include_seen=True,
        options=Options(
            history=(HistoryEntry("i1", 4.0),),
            features=(("age", 30.0), ("job", "cook")),
            selection=Selection(
                ("i2", "i2"),
                frozenset({"i3"}),
                frozenset(
                    {
                        TextFilter("genres", Match.NONE, frozenset({"v0", "v1"})),
                        RangeFilter("year", greatest=1999),
                    }
                ),
            ),
            strict=True,
            diversity=Diversity(0.5, (("genres", 3),)),
            telling=Telling(full=True, explain=True),
        ),
    )


@pytest.mark.parametrize(
    "fields",
    [{}, {"view": "ITEM_VIEW_BASIC"}, {"diversity": pb.Diversity()}, {"include_seen": True}],
    ids=str,
)
def test_a_request_that_asks_for_nothing_special_is_plain(fields: dict[str, object]) -> None:
    assert parse_recommend(ask(**fields), LIMITS, SCHEMA).options is None


def test_a_history_is_taken_in_the_order_of_time_and_each_item_once() -> None:
    history = [
        took("a", rating=1, time=Timestamp(seconds=30)),
        took("b"),
        took("a", rating=2, time=Timestamp(seconds=20)),
        took("c", time=Timestamp(seconds=10, nanos=1)),
        took("b", rating=5),
        took("d", time=Timestamp(seconds=10)),
    ]

    options = parse_recommend(ask(history=history), LIMITS, SCHEMA).options

    assert options is not None
    assert [each.item_id for each in options.history] == ["b", "d", "c", "a"]
    assert options.history[0].rating == 5
    assert options.history[-1].rating == 1


def test_given_items_become_queries() -> None:
    similar = pb.FindSimilarItemsRequest(item_ids=["a", "b", "a"], excluded_item_ids=["c"])
    ranked = pb.RankItemsRequest(history=[took("x", rating=1)], item_ids=["a", "b"], strict=True)

    assert parse_find_similar_items(similar, LIMITS, SCHEMA) == SimilarQuery(
        ("a", "b"), 10, Selection(excluded_item_ids=("c",))
    )
    assert parse_rank_items(ranked, LIMITS, SCHEMA) == RankQuery(
        "", ("a", "b"), Options(history=(HistoryEntry("x", 1.0),), strict=True)
    )
