"""Several users in one call, through both clients, against a real server."""

import grpc
import pytest
from google.rpc import error_details_pb2 as details_pb

from recserve.v1 import recommendation_service_pb2 as recommendation_pb
from recserve_client import (
    DeadlineExceededError,
    InvalidRequestError,
    NotFoundError,
    OverloadedError,
    RecommendationSource,
    RecommenderClient,
    RecommenderError,
    ServerError,
    UnavailableError,
)
from recserve_client._errors import FieldViolation

Code = grpc.StatusCode


def response_for(request, context) -> recommendation_pb.RecommendResponse:
    """An answer whose only item is named after the user."""
    return recommendation_pb.RecommendResponse(
        items=[recommendation_pb.ScoredItem(item_id=f"for {request.user_id}")]
    )


def batch_of(*users: str, **fields) -> recommendation_pb.BatchRecommendRequest:
    return recommendation_pb.BatchRecommendRequest(
        requests=[recommendation_pb.RecommendRequest(user_id=user, **fields) for user in users]
    )


def test_a_batch_is_answered_in_the_order_of_its_users(server, ask) -> None:
    server.handle_recommend = response_for
    users = [str(number) for number in reversed(range(256))]

    rankings = ask("recommend_batch", users)

    assert [ranking.user_id for ranking in rankings] == users
    assert [ranking.items[0].item_id for ranking in rankings] == [f"for {user}" for user in users]
    assert len(server.requests) == 1


def test_an_answer_of_a_batch_is_what_recommend_gives(server, ask) -> None:
    assert ask("recommend_batch", ["42"]) == (ask("recommend", "42"),)


def test_a_user_may_be_asked_for_twice_in_a_batch(server, ask) -> None:
    first, second = ask("recommend_batch", ["42", "42"])

    assert first == second


def test_a_batch_sends_its_options_with_every_user(server, ask) -> None:
    ask("recommend_batch", ("42", "7"), k=3, model="films", include_seen=True)

    assert server.requests == [batch_of("42", "7", k=3, model="films", include_seen=True)]


def test_a_batch_has_the_defaults_of_recommend(server, ask) -> None:
    ask("recommend", "42", client_options={"config": None})
    ask("recommend_batch", ["42"], client_options={"config": None})

    one, batch = server.requests
    assert list(batch.requests) == [one]
    # gRPC rounds a timeout up when it puts it on the wire.
    assert 0 < server.times_remaining_s[1] < 2.1


def test_an_unknown_user_of_a_batch_is_a_normal_answer(server, ask, popular_response) -> None:
    server.handle_recommend = lambda request, context: (
        popular_response if request.user_id == "9999" else response_for(request, context)
    )

    _, stranger = ask("recommend_batch", ["42", "9999"])

    assert stranger.source is RecommendationSource.POPULARITY
    assert not stranger.is_personal


@pytest.mark.parametrize(
    ("user_ids", "options"),
    [
        ("42", {}),
        (None, {}),
        (["42", 7], {}),
        (["42"], {"k": "ten"}),
        (["42"], {"timeout_s": 0}),
    ],
)
def test_a_batch_that_cannot_be_sent_is_refused_without_a_call(
    server, ask, user_ids, options
) -> None:
    with pytest.raises(InvalidRequestError):
        ask("recommend_batch", user_ids, **options)

    assert server.requests == []


@pytest.mark.parametrize("users", [0, 257])
def test_the_server_is_who_refuses_a_batch_of_the_wrong_size(server, ask, users) -> None:
    violation = details_pb.BadRequest.FieldViolation(
        field="requests", description=f"has {users}, must have 1 to 256"
    )
    details = details_pb.BadRequest(field_violations=[violation])
    server.fail(Code.INVALID_ARGUMENT, "invalid", details)
    refuse = server.handle_recommend
    server.handle_batch_recommend = lambda request, context: refuse(request, context)

    with pytest.raises(InvalidRequestError, match=f"requests: has {users}, must have 1 to 256"):
        ask("recommend_batch", ["42"] * users)

    (request,) = server.requests
    assert len(request.requests) == users


def test_the_place_of_a_violation_arrives_unchanged(server, ask) -> None:
    violation = details_pb.BadRequest.FieldViolation(
        field="requests[3].k", description="is 501, must be in 0..500"
    )
    server.fail(
        Code.INVALID_ARGUMENT,
        "invalid",
        details_pb.ErrorInfo(reason="INVALID_FIELDS", metadata={"request_id": "r-1"}),
        details_pb.BadRequest(field_violations=[violation]),
    )

    with pytest.raises(InvalidRequestError) as caught:
        ask("recommend_batch", ["1", "2", "3", "4"], k=501)

    error = caught.value
    assert error.violations == (FieldViolation("requests[3].k", "is 501, must be in 0..500"),)
    assert str(error) == "requests[3].k: is 501, must be in 0..500"
    assert (error.reason, error.request_id) == ("INVALID_FIELDS", "r-1")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (Code.NOT_FOUND, NotFoundError),
        (Code.RESOURCE_EXHAUSTED, OverloadedError),
        (Code.DEADLINE_EXCEEDED, DeadlineExceededError),
        (Code.UNAVAILABLE, UnavailableError),
        (Code.INTERNAL, ServerError),
    ],
)
def test_a_batch_fails_as_a_whole_with_the_errors_of_recommend(server, ask, code, expected) -> None:
    def fail_the_second(request, context):
        if request.user_id == "7":
            context.abort(code, "not this one")
        return response_for(request, context)

    server.handle_recommend = fail_the_second

    with pytest.raises(RecommenderError) as caught:
        ask("recommend_batch", ["42", "7"])

    assert type(caught.value) is expected


@pytest.mark.parametrize("answers", [0, 1, 3])
def test_a_number_of_answers_other_than_that_of_the_users_is_a_server_error(
    server, ask, answers
) -> None:
    server.handle_batch_recommend = lambda request, context: (
        recommendation_pb.BatchRecommendResponse(
            responses=[recommendation_pb.RecommendResponse()] * answers
        )
    )

    with pytest.raises(ServerError, match=f"gave {answers} answers for 2 users, must be one each"):
        ask("recommend_batch", ["42", "7"])


def test_the_clients_deadline_ends_a_batch_that_hangs(server, ask) -> None:
    server.block()

    with pytest.raises(DeadlineExceededError, match="no answer before the deadline"):
        ask("recommend_batch", ["42", "7"], client_options={"timeout_s": 0.2})


def test_the_deadline_of_a_batch_overrules_the_clients(server, ask) -> None:
    server.block()

    with pytest.raises(TimeoutError):
        ask("recommend_batch", ["42"], timeout_s=0.2, client_options={"timeout_s": 600.0})


def test_a_batch_is_tried_again_while_the_server_is_unavailable(server, ask) -> None:
    server.fail_times(2, Code.UNAVAILABLE)

    assert len(ask("recommend_batch", ["42", "7"], timeout_s=30.0)) == 2
    assert len(server.requests) == 3


def test_a_closed_client_refuses_a_batch(server) -> None:
    client = RecommenderClient(server.target)
    client.close()

    with pytest.raises(RecommenderError, match="the client is closed"):
        client.recommend_batch(["42"])
