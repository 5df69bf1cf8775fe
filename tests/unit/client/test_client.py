"""Both clients against a real server; `ask` runs each test once with either."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from recserve.v1 import model_service_pb2 as model_pb
from recserve.v1 import recommendation_service_pb2 as recommendation_pb
from recserve_client import (
    AsyncRecommenderClient,
    ChannelConfig,
    DeadlineExceededError,
    FallbackReason,
    InvalidRequestError,
    NotFoundError,
    RecommendationSource,
    RecommenderClient,
    RecommenderError,
    ScoredItem,
    ServerError,
    UnavailableError,
    UnusableClientError,
)

Code = grpc.StatusCode
UNREACHABLE = "127.0.0.1:1"


def test_recommend_returns_the_ranking_of_the_server(server, ask) -> None:
    ranking = ask("recommend", "42")

    assert ranking.user_id == "42"
    assert ranking.items == (
        ScoredItem("50", 4.5, "Star Wars (1977)"),
        ScoredItem("172", 4.25, "Amélie"),
    )
    assert ranking.is_personal
    assert (ranking.model_name, ranking.model_version) == ("films", 3)


def test_recommend_sends_its_options(server, ask) -> None:
    ask("recommend", "42", k=3, model="films", include_seen=True)

    assert server.requests == [
        recommendation_pb.RecommendRequest(user_id="42", k=3, model="films", include_seen=True)
    ]


def test_recommend_asks_for_ten_unseen_items_by_default(server, ask) -> None:
    ask("recommend", "42")

    assert server.requests == [recommendation_pb.RecommendRequest(user_id="42", k=10)]


def test_an_unknown_user_is_a_normal_answer(server, ask, popular_response) -> None:
    server.handle_recommend = lambda request, context: popular_response

    ranking = ask("recommend", "9999")

    assert ranking.source is RecommendationSource.POPULARITY
    assert ranking.fallback_reason is FallbackReason.UNKNOWN_USER


def test_values_of_a_newer_server_do_not_break_the_client(server, ask) -> None:
    server.handle_recommend = lambda request, context: recommendation_pb.RecommendResponse(
        source=99, fallback_reason=99
    )

    ranking = ask("recommend", "42")

    assert ranking.source is RecommendationSource.UNKNOWN
    assert ranking.fallback_reason is FallbackReason.UNKNOWN


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("recommend", {"user_id": 42}),
        ("recommend", {"user_id": "42", "k": "ten"}),
        ("recommend", {"user_id": "42", "timeout_s": 0}),
        ("get_model", {"name": 1}),
        ("get_model", {"version": "3"}),
        ("list_models", {"timeout_s": -1.0}),
        ("check_health", {"service": None}),
    ],
)
def test_an_argument_that_cannot_be_sent_is_refused_without_a_call(
    server, ask, method, arguments
) -> None:
    with pytest.raises(InvalidRequestError):
        ask(method, **arguments)

    assert server.requests == []


def test_every_call_has_a_deadline_of_two_seconds_by_default(server, ask) -> None:
    plain = {"config": None}
    ask("recommend", "42", client_options=plain)
    ask("get_model", client_options=plain)
    ask("list_models", client_options=plain)

    # gRPC rounds a timeout up when it puts it on the wire.
    assert [0 < remaining_s < 2.1 for remaining_s in server.times_remaining_s] == [True] * 3


def test_the_clients_deadline_ends_a_call_that_hangs(server, ask) -> None:
    server.block()
    started_s = time.monotonic()

    with pytest.raises(DeadlineExceededError, match="no answer before the deadline"):
        ask("recommend", "42", client_options={"timeout_s": 0.2})

    assert time.monotonic() - started_s < 10


def test_the_deadline_of_a_call_overrules_the_clients(server, ask) -> None:
    server.block()

    with pytest.raises(TimeoutError):
        ask("recommend", "42", timeout_s=0.2, client_options={"timeout_s": 600.0})


def test_an_unavailable_server_is_asked_again_within_the_deadline(server, ask) -> None:
    server.fail_times(2, Code.UNAVAILABLE)

    assert len(ask("recommend", "42", timeout_s=30.0)) == 2
    assert len(server.requests) == 3


def test_a_server_that_stays_unavailable_is_asked_three_times(server, ask) -> None:
    server.fail_times(1000, Code.UNAVAILABLE)

    with pytest.raises(UnavailableError):
        ask("recommend", "42", timeout_s=30.0)
    assert len(server.requests) == 3


@pytest.mark.parametrize("code", [Code.INTERNAL, Code.RESOURCE_EXHAUSTED, Code.UNKNOWN])
def test_other_failures_are_not_tried_again(server, ask, code) -> None:
    server.fail_times(1, code)

    with pytest.raises(RecommenderError):
        ask("recommend", "42")
    assert len(server.requests) == 1


def test_retries_can_be_turned_off(server, ask) -> None:
    server.fail_times(1, Code.UNAVAILABLE)

    with pytest.raises(UnavailableError):
        ask(
            "recommend",
            "42",
            client_options={"config": ChannelConfig(max_attempts=1)},
            timeout_s=30.0,
        )
    assert len(server.requests) == 1


def test_get_model_describes_the_version_asked_for(server, ask) -> None:
    model = ask("get_model", "books", 7)

    assert (model.name, model.version) == ("books", 7)
    assert server.requests == [model_pb.GetModelRequest(name="books", version=7)]


def test_get_model_asks_for_what_is_served_by_default(server, ask) -> None:
    ask("get_model")

    assert server.requests == [model_pb.GetModelRequest()]


def test_an_unknown_model_is_not_found(server, ask) -> None:
    server.handle_get_model = lambda request, context: context.abort(Code.NOT_FOUND, "no 'x'")

    with pytest.raises(NotFoundError, match="no 'x'"):
        ask("get_model", "x")


def test_list_models_walks_all_pages_in_order(server, ask) -> None:
    pages = {"": ("p2", ["a", "b"]), "p2": ("p3", []), "p3": ("", ["c"])}

    def handler(request, context):
        next_token, names = pages[request.page_token]
        models = [model_pb.Model(name=name, version=1) for name in names]
        return model_pb.ListModelsResponse(models=models, next_page_token=next_token)

    server.handle_list_models = handler

    assert [model.name for model in ask("list_models")] == ["a", "b", "c"]
    assert [request.page_token for request in server.requests] == ["", "p2", "p3"]


def test_a_server_without_models_has_an_empty_list(server, ask) -> None:
    assert ask("list_models") == ()


def test_one_deadline_covers_an_endless_walk(server, ask) -> None:
    def handler(request, context):
        time.sleep(0.05)
        return model_pb.ListModelsResponse(next_page_token="again")

    server.handle_list_models = handler

    with pytest.raises(DeadlineExceededError):
        ask("list_models", timeout_s=0.8)
    assert 1 < len(server.requests) <= 17


@pytest.mark.parametrize("client_class", [RecommenderClient, AsyncRecommenderClient])
@pytest.mark.parametrize("arguments", [{"target": ""}, {"target": "x:1", "timeout_s": 0}])
def test_a_client_refuses_at_birth_what_can_never_work(client_class, arguments) -> None:
    with pytest.raises(ValueError, match=r"target|timeout_s"):
        client_class(**arguments)


def test_an_unreachable_server_is_a_connection_error() -> None:
    with RecommenderClient(UNREACHABLE) as client, pytest.raises(ConnectionError):
        client.recommend("42")


def test_threads_share_a_client_and_get_their_own_answers(server) -> None:
    server.handle_recommend = lambda request, context: recommendation_pb.RecommendResponse(
        items=[recommendation_pb.ScoredItem(item_id=request.user_id)]
    )
    users = [str(number) for number in range(200)]

    with (
        RecommenderClient(server.target, timeout_s=30.0) as client,
        ThreadPoolExecutor(max_workers=8) as threads,
    ):
        rankings = list(threads.map(client.recommend, users))

    assert [ranking.items[0].item_id for ranking in rankings] == users


def test_closing_twice_does_nothing_and_a_later_call_is_refused(server) -> None:
    client = RecommenderClient(server.target)
    client.recommend("42")
    client.close()
    client.close()

    for call in (client.list_models, client.check_health, lambda: client.recommend("42")):
        with pytest.raises(RecommenderError, match="the client is closed"):
            call()


def test_closing_ends_the_calls_of_other_threads(server) -> None:
    server.block()
    client = RecommenderClient(server.target, timeout_s=60.0)

    with ThreadPoolExecutor(max_workers=1) as threads:
        call = threads.submit(client.recommend, "42")
        assert server.arrived.wait(30)
        client.close()
        with pytest.raises(RecommenderError):
            call.result(30)


def test_closing_while_threads_call_raises_nothing_but_our_errors(server) -> None:
    client = RecommenderClient(server.target, timeout_s=60.0)
    first_answer = threading.Event()

    def call_until_refused() -> type[BaseException]:
        while True:
            try:
                client.recommend("42")
                first_answer.set()
            except BaseException as error:
                return type(error)

    with ThreadPoolExecutor(max_workers=8) as threads:
        callers = [threads.submit(call_until_refused) for _ in range(8)]
        assert first_answer.wait(30)
        client.close()
        assert {caller.result(30) for caller in callers} == {UnusableClientError}


def test_a_handler_that_crashes_is_a_server_error(server, ask) -> None:
    def handler(request, context):
        raise RuntimeError("bug")

    server.handle_recommend = handler

    with pytest.raises(ServerError, match="bug"):
        ask("recommend", "42")
