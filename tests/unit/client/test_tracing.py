import grpc
import pytest

pytest.importorskip("opentelemetry.sdk")
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from recserve_client import InvalidRequestError
from recserve_client.tracing import TracingHook


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    made = TracerProvider()
    made.add_span_processor(SimpleSpanProcessor(exporter))
    return made


def traced(provider: TracerProvider) -> dict:
    return {"timeout_s": 30.0, "hooks": [TracingHook(provider)]}


def only(exporter: InMemorySpanExporter) -> ReadableSpan:
    [span] = exporter.get_finished_spans()
    return span


def test_a_call_is_a_span_of_the_conventions(server, ask, exporter, provider) -> None:
    ask("recommend", "42", client_options=traced(provider))

    span = only(exporter)
    assert span.name == "recserve.v1.RecommendationService/Recommend"
    assert span.kind is SpanKind.CLIENT
    assert span.attributes["rpc.system"] == "grpc"
    assert span.attributes["rpc.grpc.status_code"] == 0
    assert span.attributes["server.address"] == server.target
    assert span.status.status_code is StatusCode.UNSET


def test_a_failure_marks_the_span(server, ask, exporter, provider) -> None:
    server.fail(grpc.StatusCode.INVALID_ARGUMENT, "no such k", trailing=(("x-request-id", "r7"),))

    with pytest.raises(InvalidRequestError):
        ask("recommend", "42", client_options=traced(provider))

    span = only(exporter)
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "no such k")
    assert span.attributes["rpc.grpc.status_code"] == 3
    assert span.attributes["error.type"] == "InvalidRequestError"
    assert span.attributes["recserve.request_id"] == "r7"


def test_the_server_gets_the_context_of_the_span(server, ask, exporter, provider) -> None:
    answer, seen = server.handle_recommend, {}

    def handler(request, context):
        seen.update(context.invocation_metadata())
        return answer(request, context)

    server.handle_recommend = handler

    ask("recommend", "42", client_options=traced(provider))

    context = only(exporter).get_span_context()
    assert seen["traceparent"].startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}-")


def test_a_span_is_a_child_of_the_current_one(server, ask, exporter, provider) -> None:
    tracer = provider.get_tracer("test")

    with tracer.start_as_current_span("request") as parent:
        ask("recommend", "42", client_options=traced(provider))

    call = exporter.get_finished_spans()[0]
    assert call.parent.span_id == parent.get_span_context().span_id
