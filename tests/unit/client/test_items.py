"""Similar items and given items in order, through both clients, against a real server."""

import grpc
import pytest

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_client import (
    DeadlineExceededError,
    FallbackReason,
    Filter,
    InvalidRequestError,
    ItemView,
    RecommendationSource,
    RecommenderError,
    ScoredItem,
)


def test_similar_items_come_in_the_order_of_the_server(server, ask) -> None:
    similar = ask("find_similar_items", "50")

    assert similar.item_ids == ("50",)
    assert list(similar) == [ScoredItem("172", 0.75, "Amélie")]
    assert (similar.model_name, similar.model_version) == ("films", 3)


def test_similar_items_are_asked_for_with_their_options(server, ask) -> None:
    ask(
        "find_similar_items",
        ["50", "51"],
        k=3,
        model="films",
        model_version=2,
        excluded_item_ids=["1"],
        allowed_item_ids=["2"],
        filters=[Filter.between("year", 1990)],
        view=ItemView.FULL,
    )

    assert server.requests == [
        pb.FindSimilarItemsRequest(
            item_ids=["50", "51"],
            k=3,
            model="films",
            model_version=2,
            excluded_item_ids=["1"],
            allowed_item_ids=["2"],
            filters=[{"attribute": "year", "range": {"min": 1990}}],
            view=pb.ITEM_VIEW_FULL,
        )
    ]


def test_ranked_items_come_in_the_order_of_the_server(server, ask) -> None:
    ranked = ask("rank_items", ["172", "9999"], user_id="42")

    assert ranked.user_id == "42"
    assert list(ranked) == [ScoredItem("172", 2.5, "Amélie")]
    assert ranked.source is RecommendationSource.USER_ID
    assert ranked.is_personal


def test_items_are_ranked_with_their_options(server, ask) -> None:
    ask(
        "rank_items",
        ["172", "50"],
        history=["1"],
        features={"age": 25},
        model="films",
        model_version=2,
        strict=True,
        view=ItemView.BASIC,
        explain=True,
    )

    assert server.requests == [
        pb.RankItemsRequest(
            item_ids=["172", "50"],
            history=[{"item_id": "1"}],
            features=[{"name": "age", "number": 25}],
            model="films",
            model_version=2,
            strict=True,
            view=pb.ITEM_VIEW_BASIC,
            explain=True,
        )
    ]


def test_an_order_by_popularity_is_not_personal(server, ask) -> None:
    server.handle_rank_items = lambda request, context: pb.RankItemsResponse(
        source=pb.RECOMMENDATION_SOURCE_POPULARITY,
        fallback_reason=pb.FALLBACK_REASON_NOTHING_KNOWN,
    )

    ranked = ask("rank_items", ["172"], history=["9999"])

    assert ranked.fallback_reason is FallbackReason.NOTHING_KNOWN
    assert not ranked.is_personal


@pytest.mark.parametrize(
    ("method", "arguments", "options"),
    [
        ("find_similar_items", (50,), {}),
        ("find_similar_items", ("50",), {"timeout_s": 0}),
        ("rank_items", ("50",), {}),
        ("rank_items", (["50"],), {"user_id": 42}),
        ("rank_items", (["50"],), {"timeout_s": 0}),
    ],
)
def test_what_cannot_be_sent_is_refused_without_a_call(
    server, ask, method, arguments, options
) -> None:
    with pytest.raises(InvalidRequestError):
        ask(method, *arguments, **options)

    assert server.requests == []


@pytest.mark.parametrize("method", ["find_similar_items", "rank_items"])
def test_the_deadline_of_a_call_overrules_the_clients(server, ask, method) -> None:
    server.block()
    server.handle_rank_items = server.handle_find_similar_items = server.handle_recommend

    with pytest.raises(DeadlineExceededError):
        ask(method, ["50"], timeout_s=0.2, client_options={"timeout_s": 600.0})


@pytest.mark.parametrize("method", ["find_similar_items", "rank_items"])
def test_failures_are_our_errors(server, ask, method) -> None:
    server.fail(grpc.StatusCode.INTERNAL, "the model failed")

    with pytest.raises(RecommenderError, match="the model failed"):
        ask(method, ["50"])
