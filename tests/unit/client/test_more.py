"""Lists that go on, through both clients, against a real server."""

import asyncio

import grpc
import pytest
from google.rpc import error_details_pb2 as details_pb

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_client import (
    AsyncRecommenderClient,
    Filter,
    InvalidRequestError,
    ModelRetiredError,
    NotFoundError,
    Recommendation,
    RecommendationSource,
    RecommenderClient,
    ScoredItem,
)


@pytest.fixture
def catalogue(server):
    """A server of 1200 items in order, which keeps to k and to exclusions."""

    def handler(request, context):
        excluded = set(request.excluded_item_ids)
        eligible = [str(number) for number in range(1200) if str(number) not in excluded]
        return pb.RecommendResponse(
            items=[pb.ScoredItem(item_id=item_id) for item_id in eligible[: request.k]],
            model_name="films",
            model_version=3,
        )

    server.handle_recommend = handler
    return server


@pytest.fixture(params=["blocking", "asyncio"])
def walk(request, server):
    """Asks for a list and goes on with each of the given ks: `walk(first_call, [None, 5])`."""

    def blocking(begin, ks):
        with RecommenderClient(server.target, timeout_s=30.0) as client:
            pages = [begin(client)]
            for k in ks:
                pages.append(client.more(pages[-1], k))
            return pages

    async def through_asyncio(begin, ks):
        async with AsyncRecommenderClient(server.target, timeout_s=30.0) as client:
            pages = [await begin(client)]
            for k in ks:
                pages.append(await client.more(pages[-1], k))
            return pages

    if request.param == "blocking":
        return blocking
    return lambda begin, ks: asyncio.run(through_asyncio(begin, ks))


def ids(recommendation: Recommendation) -> list[str]:
    return [item.item_id for item in recommendation]


def test_each_page_goes_on_where_all_before_it_ended(catalogue, walk) -> None:
    pages = walk(lambda client: client.recommend("42", k=3), [None, None, 2])

    assert [ids(page) for page in pages] == [
        ["0", "1", "2"],
        ["3", "4", "5"],
        ["6", "7", "8"],
        ["9", "10"],
    ]


def test_a_next_page_asks_the_same_question_of_the_version_that_answered(catalogue, walk) -> None:
    options = {
        "k": 2,
        "history": ["7"],
        "features": {"age": 25},
        "filters": [Filter.any_of("genres", ["War"])],
        "excluded_item_ids": ["0", "9"],
        "explain": True,
    }

    walk(lambda client: client.recommend("42", **options), [None])

    first, second = catalogue.requests
    expected = pb.RecommendRequest()
    expected.CopyFrom(first)
    expected.excluded_item_ids.extend(["1", "2"])
    expected.model, expected.model_version = "films", 3
    assert second == expected


def test_a_next_page_comes_from_the_version_that_answered_whatever_its_label(server, walk) -> None:
    walk(lambda client: client.recommend("42", model_label="canary"), [None])

    first, second = server.requests
    assert (first.model_label, first.model_version) == ("canary", 0)
    assert (second.model_label, second.model_version) == ("", 3)


def test_an_item_that_was_excluded_and_shown_is_excluded_once(server, walk) -> None:
    walk(lambda client: client.recommend("42", excluded_item_ids=["50", "1", "1"]), [None])

    assert list(server.requests[1].excluded_item_ids) == ["50", "1", "172"]


def test_an_answer_of_a_batch_goes_on_for_its_own_user(catalogue) -> None:
    with RecommenderClient(catalogue.target, timeout_s=30.0) as client:
        _, second = client.recommend_batch(["42", "7"], k=2)
        page = client.more(second)

    assert (page.user_id, ids(page)) == ("7", ["2", "3"])


def test_up_to_a_thousand_shown_items_are_left_out(catalogue, ask) -> None:
    first = ask("recommend", "42", k=1000)

    assert ids(ask("more", first, 2)) == ["1000", "1001"]


def test_more_than_a_thousand_shown_items_are_refused_without_a_call(catalogue, ask) -> None:
    first = ask("recommend", "42", k=1000, excluded_item_ids=["0"])

    with pytest.raises(InvalidRequestError) as caught:
        ask("more", first)

    assert str(caught.value) == (
        "excluded_item_ids: has 1001 elements with all that was shown, must have at most 1000"
    )
    assert [violation.field for violation in caught.value.violations] == ["excluded_item_ids"]
    assert len(catalogue.requests) == 1


def test_a_recommendation_that_no_client_made_cannot_go_on(server, ask) -> None:
    made = Recommendation(
        user_id="42",
        items=(ScoredItem("50", 1.0, ""),),
        source=RecommendationSource.USER_ID,
        fallback_reason=None,
        model_name="films",
        model_version=3,
    )

    with pytest.raises(InvalidRequestError, match="recommendation: has no request, must come from"):
        ask("more", made)

    assert server.requests == []


def test_a_k_that_cannot_be_sent_is_refused(server, ask) -> None:
    first = ask("recommend", "42")

    with pytest.raises(InvalidRequestError, match="k: is 'five', must be an int of 32 bits"):
        ask("more", first, "five")


def test_a_list_whose_version_is_gone_must_be_begun_anew(server, ask) -> None:
    first = ask("recommend", "42")
    server.fail(
        grpc.StatusCode.NOT_FOUND,
        "version 3 of model 'films' does not serve, version 4 does",
        details_pb.ErrorInfo(reason="VERSION_RETIRED", metadata={"request_id": "r-1"}),
    )

    with pytest.raises(ModelRetiredError) as caught:
        ask("more", first)

    error = caught.value
    assert str(error) == (
        "version 3 of model 'films' does not serve, version 4 does; the list must be begun anew"
    )
    assert (error.reason, error.request_id) == ("VERSION_RETIRED", "r-1")
    assert isinstance(error, NotFoundError)
    assert isinstance(error.__cause__, grpc.RpcError)


def test_what_was_asked_shows_neither_in_repr_nor_in_comparison(server, ask) -> None:
    one = ask("recommend", "42", k=3)
    same_answer = ask("recommend", "42", k=4)

    assert one == same_answer
    assert "request" not in repr(one)
