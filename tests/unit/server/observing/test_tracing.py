import time
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode
from request_calls import call, recommended

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_server.batching.terms import Timing
from recserve_server.calls.call import Call, Ended, Metadata
from recserve_server.observing.tracing import Tracing

TRACE_ID, PARENT_ID = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
TRACEPARENT = ("traceparent", f"00-{TRACE_ID:032x}-{PARENT_ID:016x}-01")
REQUEST = pb.RecommendRequest(user_id="user-42", k=5, excluded_item_ids=["film-8"])


class Traced:
    """What was traced, by the name of its spans."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracing = Tracing(self.provider)

    def make(self, call: Call, ended: Ended, metadata: Metadata = ()) -> dict[str, ReadableSpan]:
        self.tracing.started(call, metadata)
        self.tracing.ended(call, ended)
        return {span.name: span for span in self.exporter.get_finished_spans()}


@pytest.fixture
def traced() -> Iterator[Traced]:
    traced = Traced()
    yield traced
    traced.provider.shutdown()


NAME = "recserve.v1.RecommendationService/Recommend"


def test_a_call_is_a_span_of_the_rpc_conventions(traced: Traced) -> None:
    timing = Timing(enqueued_s=1.0, started_s=2.0, finished_s=3.0, batch_size=7)

    span = traced.make(call(timing=timing), recommended(REQUEST, "film-1", "film-2"))[NAME]

    assert span.kind is SpanKind.SERVER
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes) == {
        "rpc.system": "grpc",
        "rpc.service": "recserve.v1.RecommendationService",
        "rpc.method": "Recommend",
        "rpc.grpc.status_code": 0,
        "recserve.request_id": "r1",
        "recserve.outcome": "OK",
        "recserve.model": "films",
        "recserve.model_version": 3,
        "recserve.item_count": 2,
        "recserve.question_count": 1,
        "recserve.k": 5,
        "recserve.batch_size": 7,
    }


def test_it_is_a_child_of_the_callers_span(traced: Traced) -> None:
    span = traced.make(call(), recommended(REQUEST), (("x", "y"), TRACEPARENT))[NAME]

    assert span.context.trace_id == TRACE_ID
    assert span.parent.span_id == PARENT_ID


@pytest.mark.parametrize("value", ["", "garbage", b"\x00\x01", f"00-{0:032x}-{0:016x}-01"])
def test_a_context_that_cannot_be_read_begins_a_trace_of_its_own(
    traced: Traced, value: str | bytes
) -> None:
    span = traced.make(call(), recommended(REQUEST), (("traceparent", value),))[NAME]

    assert span.parent is None


def test_the_wait_and_the_batch_are_spans_at_the_times_that_they_took(traced: Traced) -> None:
    now_s, now_ns = time.monotonic(), time.time_ns()
    timing = Timing(now_s - 0.9, now_s - 0.6, now_s - 0.1, batch_size=7)

    spans = traced.make(call(timing=timing), recommended(REQUEST))

    parent = spans[NAME].context.span_id
    queue, batch = spans["queue"], spans["batch"]
    assert (queue.parent.span_id, batch.parent.span_id) == (parent, parent)
    assert queue.start_time == pytest.approx(now_ns - 900_000_000, abs=50_000_000)
    assert queue.end_time - queue.start_time == pytest.approx(300_000_000, abs=1000)
    assert batch.start_time == queue.end_time
    assert batch.end_time - batch.start_time == pytest.approx(500_000_000, abs=1000)
    assert dict(batch.attributes) == {"recserve.batch_size": 7}


def test_a_call_that_never_left_the_queue_has_no_batch(traced: Traced) -> None:
    timing = Timing(enqueued_s=time.monotonic() - 0.5)

    spans = traced.make(
        call(timing=timing), Ended("DEADLINE_EXCEEDED", "EXPIRED_IN_QUEUE", request=REQUEST)
    )

    assert set(spans) == {NAME, "queue"}
    queue = spans["queue"]
    assert queue.end_time - queue.start_time == pytest.approx(500_000_000, abs=50_000_000)


def test_a_call_that_left_while_its_batch_ran_ends_the_batchs_span(traced: Traced) -> None:
    now_s = time.monotonic()
    timing = Timing(now_s - 0.5, now_s - 0.4, batch_size=2)

    spans = traced.make(call(timing=timing), Ended("CANCELLED", "CANCELLED", request=REQUEST))

    batch = spans["batch"]
    assert batch.end_time - batch.start_time == pytest.approx(400_000_000, abs=50_000_000)
    assert batch.end_time <= spans[NAME].end_time


@pytest.mark.parametrize(
    ("code", "outcome", "status"),
    [
        ("INTERNAL", "MODEL_FAILED", StatusCode.ERROR),
        ("UNAVAILABLE", "NOT_READY", StatusCode.ERROR),
        ("INVALID_ARGUMENT", "INVALID_FIELDS", StatusCode.UNSET),
        ("RESOURCE_EXHAUSTED", "QUEUE_FULL", StatusCode.UNSET),
        ("CANCELLED", "CANCELLED", StatusCode.UNSET),
    ],
)
def test_only_what_the_server_did_wrong_is_an_error(
    traced: Traced, code: str, outcome: str, status: StatusCode
) -> None:
    span = traced.make(call(), Ended(code, outcome, request=REQUEST))[NAME]

    assert span.status.status_code is status
    assert span.attributes["recserve.outcome"] == outcome
    assert span.attributes.get("error.type") == (outcome if status is StatusCode.ERROR else None)


def test_spans_have_no_ids_of_users_or_items(traced: Traced) -> None:
    timing = Timing(1.0, 2.0, 3.0, batch_size=7)

    spans = traced.make(call(timing=timing), recommended(REQUEST, "film-1"), (TRACEPARENT,))

    told = "".join(span.to_json() for span in spans.values())
    assert len(spans) == 3
    assert [each for each in ("user-42", "film-1", "film-8", "A film") if each in told] == []


def test_a_trace_that_is_not_sampled_makes_nothing() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ALWAYS_OFF)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing, ended = Tracing(provider), call(timing=Timing(1.0, 2.0, 3.0))
    tracing.started(ended, ())
    tracing.ended(ended, Ended(request=REQUEST, response=b"not looked at: this is no message"))

    assert exporter.get_finished_spans() == ()
    provider.shutdown()


def test_health_checks_are_not_traced(traced: Traced) -> None:
    assert traced.make(Call("/grpc.health.v1.Health/Check", "r1"), Ended()) == {}


def test_nothing_is_kept_of_a_call_that_has_ended(traced: Traced) -> None:
    traced.make(call(), recommended(REQUEST))

    assert traced.tracing._spans == {}
