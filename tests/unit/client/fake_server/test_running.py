import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import trustme
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from recserve.v1 import recommendation_service_pb2 as pb
from recserve.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from recserve_client import (
    AsyncRecommenderClient,
    ChannelConfig,
    Recommendation,
    RecommenderClient,
    RecommenderError,
    UnavailableError,
)
from recserve_client.testing import SAMPLE_ITEMS, SAMPLE_USERS, FakeServer, ServerTls

ANN = pb.RecommendRequest(user_id="ann")
ONCE = ChannelConfig(max_attempts=1)


def asked_until_answered(client: RecommenderClient) -> Recommendation:
    # gRPC waits for a while before it tries a port again that refused it.
    for _ in range(1000):
        try:
            return client.recommend("ann")
        except UnavailableError:
            time.sleep(0.02)
    raise AssertionError("the server did not come back")


def test_it_works_without_being_told_anything() -> None:
    with FakeServer() as server, RecommenderClient(server.target, timeout_s=30.0) as client:
        page = client.recommend("42", k=500, include_seen=True)

        assert {item.item_id for item in page} == {item.item_id for item in SAMPLE_ITEMS}
        assert all(client.recommend(user_id).is_personal for user_id in SAMPLE_USERS)


async def test_an_asyncio_test_uses_it_like_any_other() -> None:
    with FakeServer() as server:
        async with AsyncRecommenderClient(server.target, timeout_s=30.0) as client:
            assert len(await client.recommend("42")) == 10


def test_a_replica_dies_and_comes_back_on_its_port(server, client) -> None:
    target = server.target
    client.recommend("ann")

    server.stop()
    with (
        RecommenderClient(target, config=ONCE, timeout_s=5.0) as other,
        pytest.raises(UnavailableError),
    ):
        other.recommend("ann")
    server.start()

    assert server.target == target
    assert len(asked_until_answered(client))
    assert len(server.calls) == 2


def test_a_replica_that_dies_breaks_the_calls_that_it_holds(server) -> None:
    server.pause()
    with (
        RecommenderClient(server.target, config=ONCE, timeout_s=30.0) as client,
        ThreadPoolExecutor() as pool,
    ):
        asked = pool.submit(client.recommend, "ann")
        call = server.wait_for_call()

        server.stop()

        with pytest.raises(UnavailableError):
            asked.result()
    assert call.was_cancelled


def test_a_client_may_be_made_before_the_server_starts() -> None:
    server = FakeServer()
    with RecommenderClient(server.target, timeout_s=30.0) as client, server:
        assert len(client.recommend("42"))


def test_nobody_else_gets_the_port_of_a_stopped_server(server) -> None:
    server.stop()

    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", server.port))


def test_servers_have_ports_of_their_own() -> None:
    with FakeServer() as one, FakeServer() as other:
        assert one.port != other.port


def test_it_cannot_be_started_twice_but_stopped_twice(server) -> None:
    with pytest.raises(RuntimeError, match="is running already"):
        server.start()

    server.stop()
    server.stop()


def test_it_stops_while_watchers_of_its_health_come_and_go() -> None:
    for _ in range(30):
        with FakeServer() as server, grpc.insecure_channel(server.target) as channel:
            watch = HealthStub(channel).Watch
            watching = [watch(HealthCheckRequest()) for _ in range(16)]
            next(watching[0])
            for call in watching:
                call.cancel()


def test_it_tells_of_itself(server) -> None:
    assert repr(server) == f"<FakeServer {server.target} running: 6 items, 3 users>"
    server.stop()
    assert " stopped: " in repr(server)


def test_no_thread_and_no_warning_is_left_behind() -> None:
    code = (
        "from recserve_client.testing import FakeServer; from recserve_client import *\n"
        "import threading\n"
        "with FakeServer() as server, RecommenderClient(server.target, timeout_s=30) as client:\n"
        "    client.recommend('42')\n"
        "assert not [t for t in threading.enumerate() if t.name.startswith('fake-recserve')]\n"
    )

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr


def test_it_loads_neither_numpy_nor_anything_of_the_server() -> None:
    code = "import recserve_client.testing, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    ).stdout.split()

    assert {"numpy", "pyarrow", "recserve_server"}.isdisjoint(loaded)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def tls_of(authority: trustme.CA, *, asks_clients: bool = False) -> ServerTls:
    issued = authority.issue_cert("localhost", "127.0.0.1")
    return ServerTls(
        certificate_chain=b"".join(each.bytes() for each in issued.cert_chain_pems),
        private_key=issued.private_key_pem.bytes(),
        client_roots=authority.cert_pem.bytes() if asks_clients else None,
    )


def test_connections_may_be_secured(authority) -> None:
    trusting = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    with FakeServer(tls=tls_of(authority)) as server:
        for target in (server.target, f"localhost:{server.port}"):
            config = ChannelConfig(credentials=trusting)
            with RecommenderClient(target, config=config, timeout_s=30.0) as client:
                assert len(client.recommend("42"))


def test_clients_may_have_to_show_a_certificate(authority) -> None:
    roots, mine = authority.cert_pem.bytes(), authority.issue_cert("client.example")
    chain = b"".join(each.bytes() for each in mine.cert_chain_pems)
    with FakeServer(tls=tls_of(authority, asks_clients=True)) as server:
        with grpc.secure_channel(
            server.target, grpc.ssl_channel_credentials(roots, mine.private_key_pem.bytes(), chain)
        ) as channel:
            assert RecommendationServiceStub(channel).Recommend(ANN, timeout=30).items
        with (
            grpc.secure_channel(server.target, grpc.ssl_channel_credentials(roots)) as channel,
            pytest.raises(grpc.RpcError) as caught,
        ):
            RecommendationServiceStub(channel).Recommend(ANN, timeout=30)

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_the_key_is_not_shown(authority) -> None:
    assert "PRIVATE" not in repr(tls_of(authority))


def test_only_who_bears_the_token_is_answered() -> None:
    with (
        FakeServer(required_token="secret") as server,
        grpc.insecure_channel(server.target) as channel,
        RecommenderClient(server.target, timeout_s=30.0) as client,
    ):
        bearing = (("authorization", "Bearer secret"),)
        assert RecommendationServiceStub(channel).Recommend(ANN, metadata=bearing).items
        with pytest.raises(RecommenderError) as caught:
            client.recommend("42")

        assert caught.value.reason == "UNAUTHENTICATED"
        assert caught.value.__cause__.code() is grpc.StatusCode.UNAUTHENTICATED
        assert client.check_health() == "serving"


def test_further_grpc_arguments_reach_the_server() -> None:
    options = {"grpc.max_receive_message_length": 100}
    with (
        FakeServer(options=options) as server,
        RecommenderClient(server.target, timeout_s=30.0) as client,
    ):
        assert len(client.recommend("42"))
        with pytest.raises(RecommenderError, match="larger than max"):
            client.recommend("42", excluded_item_ids=["x" * 100])


def test_calls_of_many_threads_survive_restarts(server) -> None:
    failures: list[BaseException] = []
    stopped = threading.Event()

    def ask() -> None:
        with RecommenderClient(server.target, timeout_s=5.0) as client:
            while not stopped.is_set():
                try:
                    client.recommend("ann")
                except UnavailableError:
                    continue
                except BaseException as error:
                    failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        server.wait_for_call(30)
        server.stop()
        server.start()
        server.clear()
    server.wait_for_call(30)
    stopped.set()
    for thread in threads:
        thread.join()

    assert failures == []
