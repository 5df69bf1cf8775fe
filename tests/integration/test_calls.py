"""What surrounds every call: decoding, errors, request ids, overload, deadlines, cancellation."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2, status_pb2
from numpy.typing import NDArray

from recserve.v1 import recommendation_service_pb2 as pb
from recserve.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from recserve_client import (
    AsyncRecommenderClient,
    DeadlineExceededError,
    OverloadedError,
    RecommenderError,
    ServerError,
)
from recserve_server.config import ServerConfig
from recserve_server.lifecycle import Server
from recserve_server.matrix_model import MatrixRetriever, open_matrix
from recserve_server.testing import running_server

RECOMMEND = "/recserve.v1.RecommendationService/Recommend"


class GatedRetriever(MatrixRetriever):
    """Waits at a gate once it is closed, and fails when told to."""

    def __init__(self, folder: Path) -> None:
        super().__init__(open_matrix(folder).scores)
        self.gate = threading.Event()
        self.gate.set()
        self.failure: Exception | None = None

    def retrieve(
        self, user_rows: NDArray[np.int32], k: int, excluded: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        answer = super().retrieve(user_rows, k, excluded)
        assert self.gate.wait(20)
        if self.failure is not None:
            raise self.failure
        return answer


class Gated:
    """A running server whose model can be held and broken."""

    def __init__(self) -> None:
        self.retriever: GatedRetriever
        self.server: Server

    def open(self, folder: Path) -> GatedRetriever:
        self.retriever = GatedRetriever(folder)
        return self.retriever

    async def hold(self, client: AsyncRecommenderClient) -> "asyncio.Task[object]":
        """Closes the gate and waits until one call is held at it."""
        self.retriever.gate.clear()
        batches = len(self.retriever.batch_sizes)
        call: asyncio.Task[object] = asyncio.create_task(client.recommend("u0"))
        while len(self.retriever.batch_sizes) == batches:
            await asyncio.sleep(0.001)
        return call


@pytest.fixture
async def gated(config: ServerConfig) -> AsyncIterator[Gated]:
    held = Gated()
    async with running_server(config, held.open) as held.server:
        yield held
        held.retriever.gate.set()


@pytest.fixture
async def gated_client(gated: Gated) -> AsyncIterator[AsyncRecommenderClient]:
    async with AsyncRecommenderClient(gated.server.address, timeout_s=10.0) as client:
        yield client


def reason_of(error: grpc.aio.AioRpcError) -> str:
    trailers = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert status.code == error.code().value[0]
    return info.reason


@pytest.mark.parametrize("encoded", [b"\xff\xff\xff", b"\x0a\x02\xff\xfe", b"\x0a\x7f"])
async def test_bytes_that_do_not_parse_are_an_invalid_argument(
    server: Server, encoded: bytes
) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(RECOMMEND)(encoded)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(caught.value) == "MALFORMED_MESSAGE"


async def test_bytes_that_do_not_parse_are_refused_by_a_health_watch_too(server: Server) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        call = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"\xff\xff")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason_of(caught.value) == "MALFORMED_MESSAGE"


async def test_a_message_above_the_limit_is_refused(server: Server) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(RECOMMEND)(b"\0" * 1_100_000)

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("sent", "kept"), [("trace-1:a.b_c", True), ("two words", False), ("x" * 65, False)]
)
async def test_a_harmless_request_id_comes_back_any_other_is_replaced(
    server: Server, sent: str, kept: bool
) -> None:
    metadata = (("x-request-id", sent),)
    async with grpc.aio.insecure_channel(server.address) as channel:
        recommend = RecommendationServiceStub(channel).Recommend
        good = recommend(pb.RecommendRequest(user_id="u0"), metadata=metadata)
        bad = recommend(pb.RecommendRequest(), metadata=metadata)
        await good
        returned = [dict(await call.trailing_metadata())["x-request-id"] for call in (good, bad)]

    assert [each == sent for each in returned] == [kept, kept]
    assert all(returned)


async def test_a_model_that_raises_is_internal_without_its_text(
    gated: Gated, gated_client: AsyncRecommenderClient, caplog: pytest.LogCaptureFixture
) -> None:
    gated.retriever.failure = RuntimeError("secret path")

    with pytest.raises(ServerError) as caught:
        await gated_client.recommend("u0")

    assert caught.value.reason == "MODEL_FAILED"
    assert "secret" not in str(caught.value)
    assert caught.value.request_id
    assert "secret path" in caplog.text
    gated.retriever.failure = None
    assert len(await gated_client.recommend("u0"))


async def test_a_defect_of_the_server_is_internal_without_its_text(
    server: Server,
    client: AsyncRecommenderClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def defect(*arguments: object) -> None:
        raise KeyError("secret field")

    monkeypatch.setattr("recserve_server.recommendation_service.parse_recommend", defect)

    with pytest.raises(ServerError) as caught:
        await client.recommend("u0")

    assert caught.value.reason == "UNEXPECTED"
    assert "secret" not in str(caught.value)
    [logged] = [each for each in caplog.records if each.message == "a call failed"]
    assert vars(logged)["request_id"] == caught.value.request_id


async def test_a_full_queue_refuses_at_once_and_says_when_to_return(
    gated: Gated, gated_client: AsyncRecommenderClient, config: ServerConfig
) -> None:
    held = await gated.hold(gated_client)
    waiting = [
        asyncio.create_task(gated_client.recommend("u1"))
        for _ in range(config.batching.max_enqueued + 3)
    ]

    while sum(task.done() for task in waiting) < 3:
        await asyncio.sleep(0.005)
    refusals = [task.exception() for task in waiting if task.done()]
    gated.retriever.gate.set()
    await asyncio.gather(held, *(task for task in waiting if not task.done()))

    for refusal in refusals:
        assert isinstance(refusal, OverloadedError)
        assert refusal.reason == "QUEUE_FULL"
        assert refusal.retry_after_s is not None
        assert refusal.retry_after_s > 0


async def test_a_caller_that_left_is_not_computed(
    gated: Gated, gated_client: AsyncRecommenderClient
) -> None:
    held = await gated.hold(gated_client)
    leaving = asyncio.create_task(gated_client.recommend("u1"))
    staying = asyncio.create_task(gated_client.recommend("u2"))
    await asyncio.sleep(0.2)

    leaving.cancel()
    await asyncio.sleep(0.2)
    gated.retriever.gate.set()

    await asyncio.gather(held, staying)
    assert gated.retriever.batch_sizes[-2:] == [1, 1]


async def test_a_deadline_that_passes_in_the_queue_costs_no_computation(
    gated: Gated, gated_client: AsyncRecommenderClient
) -> None:
    held = await gated.hold(gated_client)
    batches = len(gated.retriever.batch_sizes)

    with pytest.raises(DeadlineExceededError):
        await gated_client.recommend("u1", timeout_s=0.2)
    gated.retriever.gate.set()
    await held
    await gated_client.recommend("u2")

    assert gated.retriever.batch_sizes[batches:] == [1]


async def test_draining_finishes_what_is_in_flight_and_refuses_the_rest(
    gated: Gated, gated_client: AsyncRecommenderClient
) -> None:
    held = await gated.hold(gated_client)
    waiting = asyncio.create_task(gated_client.recommend("u1"))
    await asyncio.sleep(0.2)

    draining = asyncio.create_task(gated.server.drain())
    await asyncio.sleep(0.2)
    late = asyncio.create_task(gated_client.recommend("u2", timeout_s=1.0))
    await asyncio.sleep(0.2)
    gated.retriever.gate.set()
    await draining

    assert await held
    assert await waiting
    with pytest.raises(RecommenderError):
        await late


async def test_refused_calls_are_logged_with_their_request_id(
    server: Server, client: AsyncRecommenderClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "recserve_server")

    with pytest.raises(RecommenderError) as caught:
        await client.recommend("")

    # The caller has its answer before the server writes the line.
    async with asyncio.timeout(10):
        while not (lines := [each for each in caplog.records if each.message == "call"]):
            await asyncio.sleep(0.001)
    [logged] = map(vars, lines)
    assert logged["outcome"] == "INVALID_FIELDS"
    assert logged["request_id"] == caught.value.request_id
