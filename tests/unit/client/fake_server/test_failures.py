import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

import recserve_client
from recserve.v1 import recommendation_service_pb2 as pb
from recserve.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from recserve_client import (
    ChannelConfig,
    HealthStatus,
    OverloadedError,
    RecommenderClient,
    ServerError,
    UnavailableError,
)
from recserve_client.testing import FakeServer

ONCE = {"timeout_s": 30.0, "config": ChannelConfig(max_attempts=1)}


@pytest.mark.parametrize(
    ("code", "reason", "error_name"),
    [
        ("INVALID_ARGUMENT", "INVALID_FIELDS", "InvalidRequestError"),
        ("NOT_FOUND", "MODEL_UNKNOWN", "NotFoundError"),
        ("NOT_FOUND", "VERSION_RETIRED", "ModelRetiredError"),
        ("FAILED_PRECONDITION", "NOT_IN_MODEL", "UnsupportedError"),
        ("RESOURCE_EXHAUSTED", "QUEUE_FULL", "OverloadedError"),
        ("DEADLINE_EXCEEDED", "EXPIRED_IN_QUEUE", "DeadlineExceededError"),
        ("UNAVAILABLE", "NOT_READY", "UnavailableError"),
        (grpc.StatusCode.INTERNAL, "MODEL_FAILED", "ServerError"),
        (grpc.StatusCode.UNKNOWN, "", "ServerError"),
    ],
)
def test_the_client_raises_what_the_failure_is(server, ask, code, reason, error_name) -> None:
    server.fail(code, reason=reason, message="not today")

    with pytest.raises(getattr(recserve_client, error_name)) as caught:
        ask("recommend", "ann", client_options=ONCE)

    assert type(caught.value).__name__ == error_name
    assert caught.value.reason == reason
    assert caught.value.request_id


def test_the_details_on_the_wire_are_those_of_the_real_server(server) -> None:
    server.fail("UNAVAILABLE", reason="NOT_READY", message="not today", retry_after_s=1.5)

    with grpc.insecure_channel(server.target) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            RecommendationServiceStub(channel).Recommend(pb.RecommendRequest(user_id="ann"))
        # Raises if code and text differ from those in the details.
        status = rpc_status.from_call(caught.value)

    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    assert (info.reason, info.domain) == ("NOT_READY", "recserve.v1.RecommendationService")
    assert retry.retry_delay.ToTimedelta().total_seconds() == 1.5
    assert status.message == "not today"


def test_an_internal_failure_tells_the_callers_request_id(server) -> None:
    server.fail("INTERNAL", reason="MODEL_FAILED")

    with grpc.insecure_channel(server.target) as channel:
        recommend = RecommendationServiceStub(channel).Recommend
        with pytest.raises(grpc.RpcError) as caught:
            recommend(pb.RecommendRequest(user_id="ann"), metadata=(("x-request-id", "abc"),))
        status = rpc_status.from_call(caught.value)

    assert dict(caught.value.trailing_metadata())["x-request-id"] == "abc"
    assert status.message.endswith("(request abc)")


def test_so_many_calls_fail_as_were_told(server, client) -> None:
    server.fail("INTERNAL", times=2)

    for _ in range(2):
        with pytest.raises(ServerError):
            client.recommend("ann")
    assert len(client.recommend("ann"))


def test_failures_follow_one_another(server, client) -> None:
    server.fail("INTERNAL", times=1)
    server.overload(times=1)

    with pytest.raises(ServerError):
        client.recommend("ann")
    with pytest.raises(OverloadedError):
        client.recommend("ann")
    assert len(client.recommend("ann"))


def test_one_method_fails_and_the_others_answer(server, client) -> None:
    server.fail("INTERNAL", method="RankItems")

    assert len(client.recommend("ann"))
    with pytest.raises(ServerError):
        client.rank_items(["et"], user_id="ann")


def test_calls_fail_until_it_recovers(server, client) -> None:
    server.fail("INTERNAL")
    for _ in range(3):
        with pytest.raises(ServerError):
            client.recommend("ann")

    server.recover()

    assert len(client.recommend("ann"))


def test_an_overloaded_server_says_when_to_return(server, ask) -> None:
    server.overload(retry_after_s=0.25)

    with pytest.raises(OverloadedError) as caught:
        ask("recommend", "ann")

    assert caught.value.reason == "QUEUE_FULL"
    assert caught.value.retry_after_s == 0.25


def test_every_try_of_the_client_counts(server, ask) -> None:
    server.fail("UNAVAILABLE", times=2)

    assert len(ask("recommend", "ann"))
    assert len(server.calls) == 3


def test_a_server_that_is_down_says_so_and_comes_back(server, ask) -> None:
    server.go_down()

    assert ask("check_health") is HealthStatus.NOT_SERVING
    with pytest.raises(UnavailableError) as caught:
        ask("recommend", "ann", client_options=ONCE)
    assert (caught.value.reason, caught.value.retry_after_s) == ("NOT_READY", 1.0)

    server.come_back()

    assert ask("check_health") is HealthStatus.SERVING
    assert len(ask("recommend", "ann"))


def test_a_server_that_went_down_before_it_started_starts_so() -> None:
    server = FakeServer()
    server.go_down()

    with server, RecommenderClient(server.target, timeout_s=30.0) as client:
        assert client.check_health() is HealthStatus.NOT_SERVING


@pytest.mark.parametrize(
    ("failure", "error", "told"),
    [
        ({"code": "OOPS"}, ValueError, "code is 'OOPS', must be one of CANCELLED, "),
        ({"code": "OK"}, ValueError, "code is 'OK'"),
        ({"code": "INTERNAL", "times": 0}, ValueError, "times is 0"),
        (
            {"code": "INTERNAL", "method": "Ask"},
            ValueError,
            "method is 'Ask', must be one of Batch",
        ),
        ({"code": "INTERNAL", "retry_after_s": -1}, ValueError, "retry_after_s is -1"),
        ({"code": "INTERNAL", "cause": "x"}, TypeError, "no detail 'cause'"),
    ],
)
def test_a_failure_that_cannot_be_is_refused(server, failure, error, told) -> None:
    with pytest.raises(error, match=told):
        server.fail(**failure)
