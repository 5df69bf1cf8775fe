"""OpenTelemetry spans of calls; needs the extra `otel`, and is imported only if it is wanted.

A call is a span of kind SERVER, named and described by the semantic conventions for RPC
(https://opentelemetry.io/docs/specs/semconv/rpc), a child of the span that the caller sends by the
propagator that OTEL_PROPAGATORS names, W3C's `traceparent` by default. Its children `queue` and
`batch` tell where the time went. Spans carry no ids of users or items.
"""

import time
from importlib.metadata import version
from typing import Final

from google.rpc import code_pb2
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from recserve_server.calls.call import Call, Ended, Metadata
from recserve_server.observing.exchange import Exchange, is_ours

# What the conventions call the server's doing; a caller's mistake is no error of the server.
_ERRORS: Final = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)


def open_provider() -> TracerProvider:
    """Returns what sends spans by OTLP over gRPC, as the OTEL_* variables say.

    They are sent by a thread of its own, which drops some if their receiver does not keep up.
    """
    resource = Resource.create()
    if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": "recserve"}))
    released = Resource({"service.version": version("recserve-server")})
    provider = TracerProvider(resource=released.merge(resource))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class Tracing:
    """A `CallObserver` that makes spans."""

    def __init__(self, provider: TracerProvider) -> None:
        """Takes where spans go."""
        self._provider = provider
        self._tracer = trace.get_tracer("recserve_server", tracer_provider=provider)
        self._spans: dict[int, trace.Span] = {}

    def started(self, call: Call, metadata: Metadata) -> None:
        """Begins the span."""
        if not is_ours(call.method):
            return
        service, _, method = call.method.strip("/").partition("/")
        span = self._tracer.start_span(
            f"{service}/{method}",
            context=propagate.extract(_carrier(metadata)),
            kind=SpanKind.SERVER,
            attributes={"rpc.system": "grpc", "rpc.service": service, "rpc.method": method},
        )
        # Until `ended` the registry holds the call: no other object has its id.
        self._spans[id(call)] = span

    def ended(self, call: Call, ended: Ended) -> None:
        """Ends the span, those of the queue and the batch with it."""
        span = self._spans.pop(id(call), None)
        if span is None:
            return
        if span.is_recording():
            span.set_attributes(_attributes(call, ended))
            if ended.code in _ERRORS:
                span.set_attribute("error.type", ended.outcome)
                span.set_status(Status(StatusCode.ERROR, ended.outcome))
            self._trace_batch(span, call)
        span.end()

    def close(self) -> None:
        """Sends what is left; may block for as long as an export may take."""
        self._provider.shutdown()

    def _trace_batch(self, parent: trace.Span, call: Call) -> None:
        timing = call.timing
        if timing is None or not timing.enqueued_s:
            return
        now_ns = time.time_ns()
        # The batcher's clock has no date.
        offset_ns = now_ns - time.monotonic_ns()
        queued_ns = offset_ns + round(timing.enqueued_s * 1e9)
        started_ns = offset_ns + round(timing.started_s * 1e9) if timing.started_s else now_ns
        self._trace_part(parent, "queue", (queued_ns, started_ns))
        if timing.started_s:
            finished_s = timing.finished_s
            finished_ns = offset_ns + round(finished_s * 1e9) if finished_s else now_ns
            size = {"recserve.batch_size": timing.batch_size}
            self._trace_part(parent, "batch", (started_ns, finished_ns), size)

    def _trace_part(
        self,
        parent: trace.Span,
        name: str,
        times_ns: tuple[int, int],
        attributes: dict[str, int] | None = None,
    ) -> None:
        context = trace.set_span_in_context(parent)
        start_ns, end_ns = times_ns
        part = self._tracer.start_span(
            name, context=context, start_time=start_ns, attributes=attributes
        )
        part.end(end_ns)


def _carrier(metadata: Metadata) -> dict[str, str]:
    fields = propagate.get_global_textmap().fields
    return {key: value for key, value in metadata if key in fields and isinstance(value, str)}


def _attributes(call: Call, ended: Ended) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "rpc.grpc.status_code": code_pb2.Code.Value(ended.code),
        "recserve.request_id": call.request_id,
        "recserve.outcome": ended.outcome,
    }
    exchange = Exchange.of(call, ended)
    if exchange.model is not None:
        attributes["recserve.model"], attributes["recserve.model_version"] = exchange.model
        attributes["recserve.item_count"] = exchange.item_count
    if exchange.asked:
        attributes["recserve.question_count"] = len(exchange.asked)
    if exchange.k is not None:
        attributes["recserve.k"] = exchange.k
    if call.timing is not None and call.timing.batch_size:
        attributes["recserve.batch_size"] = call.timing.batch_size
    return attributes
