"""OpenTelemetry spans for the calls of a client; needs the extra `otel`.

    RecommenderClient("localhost:8500", hooks=[TracingHook()])

Each call is a span of kind CLIENT, named and described by the semantic conventions for RPC
(https://opentelemetry.io/docs/specs/semconv/rpc/), a child of the span that is current where the
call is made. The server gets the context in `traceparent`, by the propagator that the program set.
"""

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from ._transport.hooks import Call, CallHook

__all__ = ["TracingHook"]


class TracingHook(CallHook):
    """Makes a span of every call."""

    def __init__(self, tracer_provider: trace.TracerProvider | None = None) -> None:
        """Takes the tracer.

        Args:
            tracer_provider: Where spans go; None means the one that the program set.
        """
        self._tracer = trace.get_tracer("recserve_client", tracer_provider=tracer_provider)
        self._spans: dict[Call, trace.Span] = {}

    def call_started(self, call: Call) -> None:
        """Begins the span and sends its context along."""
        span = self._tracer.start_span(
            f"{call.service}/{call.method}",
            kind=SpanKind.CLIENT,
            attributes={
                "rpc.system": "grpc",
                "rpc.service": call.service,
                "rpc.method": call.method,
                "server.address": call.target,
                "recserve.timeout_ms": round(call.timeout_s * 1000),
            },
        )
        self._spans[call] = span
        propagate.inject(call.metadata, trace.set_span_in_context(span))

    def call_ended(self, call: Call) -> None:
        """Ends the span with the outcome."""
        span = self._spans.pop(call)
        span.set_attribute("rpc.grpc.status_code", call.status_code)
        span.set_attribute("recserve.sent_count", call.sent_count)
        if call.was_hedged:
            span.set_attribute("recserve.was_hedged", True)
        if call.code != "OK":
            span.set_status(Status(StatusCode.ERROR, str(call.error or call.code)))
        if call.error is not None:
            span.set_attribute("error.type", type(call.error).__name__)
            if call.error.request_id:
                span.set_attribute("recserve.request_id", call.error.request_id)
        span.end()
