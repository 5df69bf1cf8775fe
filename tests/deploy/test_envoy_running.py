import contextlib
import json
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from proxy import Proxy, running_proxy, until

from recserve.v1 import recommendation_service_pb2, recommendation_service_pb2_grpc
from recserve_client import ChannelConfig, HealthStatus, RecommenderClient, RecommenderError

pytestmark = pytest.mark.long

ONCE = ChannelConfig(max_attempts=1)
"""No retries by the SDK, so that those of Envoy show."""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with running_proxy(tmp_path_factory.mktemp("envoy")) as running:
        yield running


@pytest.fixture
def proxy_to_break(tmp_path: Path) -> Iterator[Proxy]:
    with running_proxy(tmp_path) as running:
        yield running


def post(proxy: Proxy, method: str, body: bytes) -> tuple[int, HTTPMessage, bytes]:
    """Does what `curl -d BODY` does."""
    url = f"http://{proxy.address}/recserve.v1.{method}"
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def best(client: RecommenderClient) -> str:
    """What a user that all replicas know is recommended first."""
    return client.recommend("u0", k=1).items[0].item_id


def recommend_directly(proxy: Proxy, request: Any) -> Any:
    with grpc.insecure_channel(next(iter(proxy.replicas))) as channel:
        stub = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
        return stub.Recommend(request, timeout=10)


def test_the_sdk_gets_through_to_all_replicas(proxy: Proxy) -> None:
    before = proxy.calls()
    with RecommenderClient(proxy.address, config=ONCE, timeout_s=10.0) as client:
        answers = {best(client) for _ in range(60)}

    after = proxy.calls()
    assert answers == {"i3"}
    assert all(after[replica] > before[replica] for replica in proxy.replicas)


def test_json_is_answered_as_grpc_is(proxy: Proxy) -> None:
    request = recommendation_service_pb2.RecommendRequest(user_id="u0", k=3)
    status, headers, body = post(
        proxy, "RecommendationService/Recommend", b'{"user_id": "u0", "k": 3}'
    )

    answer = json_format.Parse(body, recommendation_service_pb2.RecommendResponse())
    assert (status, headers["content-type"]) == (200, "application/json")
    assert len(answer.items) == 3
    assert answer == recommend_directly(proxy, request)


def test_json_names_fields_as_the_proto_does(proxy: Proxy) -> None:
    _, _, body = post(proxy, "RecommendationService/Recommend", b'{"user_id": "u0", "k": 1}')

    assert json.loads(body)["items"][0]["item_id"] == "i3"


def test_a_refusal_comes_as_http_status_and_google_status(proxy: Proxy) -> None:
    status, _, body = post(proxy, "RecommendationService/Recommend", b'{"user_id": "u0", "k": -1}')

    told = json.loads(body)
    assert (status, told["code"]) == (400, grpc.StatusCode.INVALID_ARGUMENT.value[0])
    assert told["message"] == "k is -1, must be from 1 to 500, or 0 for 10"
    assert told["details"][0]["reason"] == "INVALID_FIELDS"


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("RecommendationService/Recommend", b'{"no_such_field": 1}', 400),
        ("RecommendationService/Recommend", b"not json", 400),
        ("RecommendationService/Recommend?k=3", b"{}", 400),
        ("RecommendationService/NoSuchMethod", b"{}", 404),
        ("NoSuchService/Recommend", b"{}", 404),
    ],
)
def test_what_is_no_such_call_is_refused(
    proxy: Proxy, method: str, body: bytes, status: int
) -> None:
    assert post(proxy, method, body)[0] == status


def test_a_json_body_above_a_mebibyte_is_too_large(proxy: Proxy) -> None:
    body = json.dumps({"user_id": "u" * (1 << 20)}).encode()

    assert post(proxy, "RecommendationService/Recommend", body)[0] == 413


def test_a_grpc_message_above_a_mebibyte_is_told_as_the_server_does(proxy: Proxy) -> None:
    large = recommendation_service_pb2.RecommendRequest(user_id="u" * (1 << 20))
    codes = []
    for address in (proxy.address, next(iter(proxy.replicas))):
        with grpc.insecure_channel(address) as channel:
            stub = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
            with pytest.raises(grpc.RpcError) as caught:
                stub.Recommend(large, timeout=10)
            codes.append(caught.value.code())

    assert codes == [grpc.StatusCode.RESOURCE_EXHAUSTED] * 2


def test_health_can_be_asked_but_not_watched(proxy: Proxy) -> None:
    with RecommenderClient(proxy.address, config=ONCE, timeout_s=10.0) as client:
        assert client.check_health() is HealthStatus.SERVING
    with grpc.insecure_channel(proxy.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(), timeout=10
        )
        with pytest.raises(grpc.RpcError) as caught:
            next(watch)

    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_clients_that_check_health_get_through(proxy: Proxy) -> None:
    config = ChannelConfig(max_attempts=1, health_checks=True)
    with RecommenderClient(proxy.address, config=config, timeout_s=10.0) as client:
        assert best(client) == "i3"


def test_the_access_log_names_request_and_replica_but_no_user(proxy: Proxy) -> None:
    body = b'{"user_id": "somebody-private", "k": 1}'
    url = f"http://{proxy.address}/recserve.v1.RecommendationService/Recommend"
    headers = {"content-type": "application/json", "x-request-id": "asked-by-a-test"}
    request = urllib.request.Request(url, body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()

    until(lambda: "asked-by-a-test" in proxy.log.read_text())
    text = proxy.log.read_text()
    [line] = [line for line in text.splitlines() if "asked-by-a-test" in line]
    logged = json.loads(line)
    assert logged["path"] == "/recserve.v1.RecommendationService/Recommend"
    assert (logged["grpc_status"], logged["http_status"]) == ("OK", 200)
    assert logged["replica"] in proxy.replicas
    assert "somebody-private" not in text


def test_killing_a_replica_under_calls_fails_none(proxy_to_break: Proxy) -> None:
    proxy, answers, failures = proxy_to_break, [], []
    victim, process = next(iter(proxy.replicas.items()))
    with calls_under_way(proxy, answers, failures):
        until(lambda: proxy.calls()[victim] > 50)
        process.kill()
        proxy.wait_for_healthy(set(proxy.replicas) - {victim})
        seen = len(answers)
        until(lambda: len(answers) > seen + 200)

    assert failures == []
    assert set(answers) == {"i3"}


@contextlib.contextmanager
def calls_under_way(
    proxy: Proxy, answers: list[str], failures: list[Exception], callers: int = 4
) -> Iterator[None]:
    """Calls without pause, noting what came of it."""
    stop = threading.Event()

    def call() -> None:
        with RecommenderClient(proxy.address, config=ONCE, timeout_s=20.0) as client:
            while not stop.is_set():
                try:
                    answers.append(best(client))
                except RecommenderError as error:
                    failures.append(error)

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_a_replica_that_drains_gets_no_further_calls(proxy_to_break: Proxy) -> None:
    proxy = proxy_to_break
    leaving, process = next(iter(proxy.replicas.items()))
    with RecommenderClient(proxy.address, config=ONCE, timeout_s=10.0) as client:

        def calls_of_leaving(count: int = 20) -> int:
            before = proxy.calls()[leaving]
            for _ in range(count):
                best(client)
            return proxy.calls()[leaving] - before

        until(lambda: calls_of_leaving() > 0)
        process.send_signal(signal.SIGTERM)
        until(lambda: calls_of_leaving() == 0)

        assert calls_of_leaving(count=100) == 0
    # It would still answer: it is health alone that keeps calls away.
    assert process.poll() is None


def test_without_a_healthy_replica_calls_fail_at_once(proxy_to_break: Proxy) -> None:
    for process in proxy_to_break.replicas.values():
        process.send_signal(signal.SIGTERM)
    proxy_to_break.wait_for_healthy(set())
    with grpc.insecure_channel(proxy_to_break.address) as channel:
        stub = recommendation_service_pb2_grpc.RecommendationServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Recommend(recommendation_service_pb2.RecommendRequest(user_id="u0"), timeout=30)

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
