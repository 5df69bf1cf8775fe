"""Spans of a real server, sent by OTLP to a collector that keeps them."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as collector_pb
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as collector_grpc
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from recserve_client import AsyncRecommenderClient, InvalidRequestError
from recserve_client.tracing import TracingHook
from recserve_server.config import ObservingConfig, ServerConfig
from recserve_server.lifecycle import Server
from recserve_server.testing import running_server

RECOMMEND = "recserve.v1.RecommendationService/Recommend"
SERVER_KIND = 2


class Collector(collector_grpc.TraceServiceServicer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self.requests.append(request)
        return collector_pb.ExportTraceServiceResponse()

    def spans(self) -> list[Any]:
        return [
            span
            for request in self.requests
            for of_resource in request.resource_spans
            for of_scope in of_resource.scope_spans
            for span in of_scope.spans
        ]

    async def spans_when(self, count: int) -> list[Any]:
        while len(found := self.spans()) < count:
            await asyncio.sleep(0.01)
        return found


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    collector = Collector()
    listening = grpc.server(ThreadPoolExecutor(1))
    collector_grpc.add_TraceServiceServicer_to_server(collector, listening)
    port = listening.add_insecure_port("127.0.0.1:0")
    listening.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    yield collector
    listening.stop(None).wait()


@pytest.fixture
async def server(config: ServerConfig, collector: Collector) -> AsyncIterator[Server]:
    async with running_server(replace(config, observing=ObservingConfig(otel=True))) as running:
        yield running


def attributes(span: Any) -> dict[str, object]:
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes
    }


async def test_client_and_server_share_a_trace_down_to_the_batch(
    server: Server, collector: Collector
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with AsyncRecommenderClient(server.address, hooks=[TracingHook(provider)]) as client:
        await client.recommend("u0", k=2)
    [of_client] = exporter.get_finished_spans()

    spans = {span.name: span for span in await collector.spans_when(3)}

    call, queue, batch = spans[RECOMMEND], spans["queue"], spans["batch"]
    assert call.kind == SERVER_KIND
    assert call.parent_span_id == of_client.context.span_id.to_bytes(8)
    assert {span.trace_id for span in spans.values()} == {of_client.context.trace_id.to_bytes(16)}
    assert {queue.parent_span_id, batch.parent_span_id} == {call.span_id}
    assert call.start_time_unix_nano <= queue.start_time_unix_nano + 1_000_000
    assert queue.end_time_unix_nano == batch.start_time_unix_nano
    assert batch.end_time_unix_nano <= call.end_time_unix_nano + 1_000_000
    told = attributes(call)
    assert (told["recserve.model"], told["recserve.model_version"]) == ("films", 1)
    assert (told["recserve.k"], told["recserve.batch_size"]) == (2, 1)
    provider.shutdown()


async def test_a_refused_call_is_a_span_without_a_batch(
    server: Server, client: AsyncRecommenderClient, collector: Collector
) -> None:
    with pytest.raises(InvalidRequestError):
        await client.recommend("")

    [span] = await collector.spans_when(1)
    assert span.name == RECOMMEND
    assert attributes(span)["recserve.outcome"] == "INVALID_FIELDS"


async def test_the_service_has_a_name_and_a_version(
    server: Server, client: AsyncRecommenderClient, collector: Collector
) -> None:
    await client.recommend("u0")
    await collector.spans_when(3)

    of_resource = attributes(collector.requests[0].resource_spans[0].resource)
    assert of_resource["service.name"] == "recserve"
    assert of_resource["service.version"]


async def test_the_environment_may_name_the_service(
    config: ServerConfig, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "films-eu")
    observing = ObservingConfig(otel=True)
    async with (
        running_server(replace(config, observing=observing)) as server,
        AsyncRecommenderClient(server.address) as client,
    ):
        await client.recommend("u0")
        await collector.spans_when(3)

    of_resource = attributes(collector.requests[0].resource_spans[0].resource)
    assert of_resource["service.name"] == "films-eu"
