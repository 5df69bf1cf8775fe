"""What an operator's Prometheus reads of a running server."""

import asyncio
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf import empty_pb2
from numpy.typing import NDArray
from prometheus_client.parser import text_string_to_metric_families

from recserve_client import (
    AsyncRecommenderClient,
    DeadlineExceededError,
    InvalidRequestError,
    OverloadedError,
)
from recserve_server.config import ServerConfig
from recserve_server.lifecycle import Server
from recserve_server.matrix_model import MatrixRetriever, open_matrix
from recserve_server.testing import open_with, running_server

Series = tuple[str, frozenset[tuple[str, str]]]


def get(server: Server, path: str = "/metrics") -> str:
    url = f"http://{server.admin_address}{path}"
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read().decode()


class Scrape:
    """One reading of /metrics."""

    def __init__(self, server: Server) -> None:
        self.values: dict[Series, float] = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(get(server))
            for sample in family.samples
        }

    def total(self, name: str, /, **labels: str) -> float:
        """Sums the samples of a name that have these labels."""
        wanted = labels.items()
        return sum(
            value for (each, have), value in self.values.items() if each == name and wanted <= have
        )

    def by(self, name: str, label: str, /, **labels: str) -> dict[str, float]:
        """Returns the samples of a name that are not 0, by one label."""
        wanted = labels.items()
        return {
            dict(have)[label]: value
            for (each, have), value in self.values.items()
            if each == name and wanted <= have and value
        }


async def scrape_when(server: Server, name: str, count: float, /, **labels: str) -> Scrape:
    """Reads until a sum is reached: a call is counted a moment after its caller has the answer."""
    while (scrape := Scrape(server)).total(name, **labels) < count:
        await asyncio.sleep(0.005)
    return scrape


class Gate:
    """A model that waits while it is closed."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.opened.set()

    def open(self, folder: Path) -> MatrixRetriever:
        scores, opened = open_matrix(folder).scores, self.opened

        class Retriever(MatrixRetriever):
            def retrieve(
                self, user_rows: NDArray[np.int32], k: int, excluded: NDArray[np.int32]
            ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
                assert opened.wait(20)
                return super().retrieve(user_rows, k, excluded)

        return Retriever(scores)


@pytest.fixture
def config(config: ServerConfig) -> ServerConfig:
    return replace(config, admin_address="localhost:0")


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
async def server(config: ServerConfig, gate: Gate) -> AsyncIterator[Server]:
    async with running_server(config, gate.open) as running:
        yield running
        gate.opened.set()


async def hold(server: Server, gate: Gate, client: AsyncRecommenderClient) -> asyncio.Task[object]:
    """Closes the gate and returns a call that waits at it, in a batch of its own."""
    batches = Scrape(server).total("recserve_batch_size_count")
    gate.opened.clear()
    held: asyncio.Task[object] = asyncio.create_task(client.recommend("u0"))
    await scrape_when(server, "recserve_batch_size_count", batches + 1)
    return held


async def test_calls_are_counted_by_code(server: Server, client: AsyncRecommenderClient) -> None:
    await client.recommend("u0")
    await client.recommend("u1")
    with pytest.raises(InvalidRequestError):
        await client.recommend("")
    await client.check_health("no.such.Service")

    scrape = await scrape_when(server, "grpc_server_handled_total", 4)

    handled, latency = "grpc_server_handled_total", "grpc_server_handling_seconds_count"
    recommended = {"OK": 2, "InvalidArgument": 1}
    assert scrape.by(handled, "grpc_code", grpc_method="Recommend") == recommended
    assert scrape.by(latency, "grpc_code", grpc_method="Recommend") == recommended
    assert scrape.by(handled, "grpc_code", grpc_method="Check") == {"NotFound": 1}
    assert scrape.by("grpc_server_started_total", "grpc_method") == {"Recommend": 3, "Check": 1}


async def test_batches_and_padding_are_counted_but_not_those_of_the_warm_up(
    server: Server, client: AsyncRecommenderClient
) -> None:
    assert Scrape(server).total("recserve_model_rows_total") == 0

    await client.recommend_batch(["u0", "u1", "u2"])
    await client.recommend("u0")

    scrape = Scrape(server)
    sizes = scrape.by("recserve_batch_size_bucket", "le")
    assert (sizes["1.0"], sizes["2.0"], sizes["4.0"]) == (1, 1, 2)
    assert scrape.total("recserve_queue_wait_seconds_count") == 4
    assert scrape.total("recserve_batch_run_seconds_count") == 2
    assert scrape.total("recserve_model_rows_total") == 4
    assert scrape.total("recserve_padding_rows_total") == 1


async def test_answers_are_counted_by_what_they_were_made_from(
    server: Server, client: AsyncRecommenderClient
) -> None:
    await client.recommend("u0", k=2)
    await client.recommend("nobody", k=50)
    await client.rank_items(["i0", "i1"], user_id="u1")

    scrape = Scrape(server)
    films = {"model": "films", "version": "1"}
    assert scrape.by("recserve_answers_total", "source", kind="recommend", **films) == {
        "user_id": 1,
        "popularity": 1,
    }
    assert scrape.by("recserve_answers_total", "source", kind="rank", **films) == {"user_id": 1}
    assert scrape.by("recserve_fallbacks_total", "reason", **films) == {"unknown_user": 1}
    assert scrape.total("recserve_short_answers_total", **films) == 1
    assert scrape.total("recserve_answered_items_total", **films) == 2 + 5 + 2
    assert scrape.total("recserve_asked_k_sum", **films) == 52
    assert scrape.total("recserve_model_run_seconds_count", **films) == 3
    assert scrape.total("recserve_model_items", **films) == 5
    assert scrape.total("recserve_model_users", **films) == 3


async def test_a_full_queue_shows_in_its_depth_and_in_the_reasons(
    server: Server, gate: Gate, client: AsyncRecommenderClient, config: ServerConfig
) -> None:
    held = await hold(server, gate, client)
    room = config.batching.max_enqueued
    waiting = [asyncio.create_task(client.recommend("u1")) for _ in range(room + 3)]

    scrape = await scrape_when(server, "recserve_rejected_total", 3)
    gate.opened.set()
    answers = await asyncio.gather(held, *waiting, return_exceptions=True)

    assert scrape.total("recserve_queue_depth") == room
    assert scrape.by("recserve_rejected_total", "reason") == {"QUEUE_FULL": 3}
    assert sum(isinstance(answer, OverloadedError) for answer in answers) == 3
    scrape = await scrape_when(server, "grpc_server_handled_total", room + 4)
    codes = scrape.by("grpc_server_handled_total", "grpc_code")
    assert codes == {"OK": room + 1, "ResourceExhausted": 3}
    assert scrape.total("recserve_queue_depth") == 0


async def test_a_passed_deadline_and_a_caller_that_left_are_told_apart(
    server: Server, gate: Gate, client: AsyncRecommenderClient
) -> None:
    held = await hold(server, gate, client)
    leaving = asyncio.create_task(client.recommend("u1"))
    await scrape_when(server, "recserve_queue_depth", 1)

    with pytest.raises(DeadlineExceededError):
        await client.recommend("u2", timeout_s=0.2)
    leaving.cancel()

    scrape = await scrape_when(server, "grpc_server_handled_total", 2)
    codes = scrape.by("grpc_server_handled_total", "grpc_code")
    assert codes == {"DeadlineExceeded": 1, "Canceled": 1}
    gate.opened.set()
    await held


async def test_a_health_watch_is_a_call_that_ends_with_its_caller(server: Server) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")
        call = watch(empty_pb2.Empty().SerializeToString())
        await call.read()
        scrape = Scrape(server)
        assert scrape.by("grpc_server_started_total", "grpc_type") == {"server_stream": 1}
        assert scrape.total("grpc_server_handled_total") == 0
        call.cancel()

        scrape = await scrape_when(server, "grpc_server_handled_total", 1)

    codes = scrape.by("grpc_server_handled_total", "grpc_code", grpc_method="Watch")
    assert codes == {"Canceled": 1}


async def test_a_hundred_users_and_unknown_methods_add_no_series(
    server: Server, client: AsyncRecommenderClient
) -> None:
    await client.recommend("u0")
    before = set(Scrape(server).values)

    await asyncio.gather(*(client.recommend(f"somebody {number}") for number in range(8)))
    for number in range(92):
        await client.recommend(f"somebody else {number}")
    async with grpc.aio.insecure_channel(server.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary("/recserve.v1.RecommendationService/Invented")(b"")

    scrape = Scrape(server)
    assert scrape.total("grpc_server_started_total") == 101
    assert set(scrape.values) == before


async def test_metrics_are_there_before_the_model_and_until_the_server_is_gone(
    config: ServerConfig,
) -> None:
    server = Server(config, open_with(open_matrix))
    await server.start()
    loading = Scrape(server)
    await server.load()
    loaded = Scrape(server)
    await server.drain()

    assert loading.total("recserve_serving") == 0
    assert loading.by("recserve_model_info", "model") == {}
    assert loaded.total("recserve_serving") == 1
    model = {"version": "1", "kind": "matrix", "index": "exact"}
    assert loaded.by("recserve_model_info", "model", **model) == {"films": 1}
    load_time_s = loaded.total("recserve_model_load_time_seconds")
    assert load_time_s >= loaded.total("process_start_time_seconds")
    with pytest.raises(urllib.error.URLError, match="refused"):
        get(server)
