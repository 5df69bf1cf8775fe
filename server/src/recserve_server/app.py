"""The composition root: config -> a wired gRPC server; no logic."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from recserve.artifact.v1 import manifest_pb2
from recserve.v1 import (
    feedback_service_pb2_grpc,
    model_service_pb2_grpc,
    recommendation_service_pb2_grpc,
)
from recserve_server.calls.arrival import Reception
from recserve_server.calls.call import CallObserver
from recserve_server.calls.registry import CallRegistry
from recserve_server.config import ConnectionsConfig, ObservingConfig, ServerConfig
from recserve_server.events.opening import store_of
from recserve_server.events.recorded import RecordedEvents
from recserve_server.feedback_service import FeedbackService
from recserve_server.health import SERVICES, Health, HealthService
from recserve_server.model import ModelRunner
from recserve_server.model_process.messages import Opening
from recserve_server.model_process.runner import ModelProcess
from recserve_server.model_service import ModelService
from recserve_server.models.loading import OpenModel
from recserve_server.models.store import ModelStore
from recserve_server.observing.request_log import RequestLog
from recserve_server.recommendation_service import RecommendationService
from recserve_server.security.opening import Security, open_security
from recserve_server.stats import CallStats


@dataclass(frozen=True, slots=True)
class App:
    """Everything that runs in one server process."""

    server: grpc.aio.Server
    health: Health
    store: ModelStore
    events: RecordedEvents | None
    calls: CallStats
    security: Security
    request_log: RequestLog | None
    observers: Sequence[CallObserver]
    """Those who are told of calls; to be closed in the end."""


async def open_in_process(
    config: ServerConfig, folder: Path, manifest: manifest_pb2.Manifest, is_background: bool
) -> ModelRunner:
    """Opens a verified version in a process of its own; an `OpenModel`."""
    return await ModelProcess.open(
        Opening(
            folder=folder,
            manifest=manifest.SerializeToString(),
            batch_sizes=config.batching.batch_sizes,
            max_k=config.limits.max_k,
            log_level=config.log_level,
            log_format=config.log_format,
            is_background=is_background,
        )
    )


def build_app(config: ServerConfig, open_model: OpenModel) -> App:
    """Wires a server that is not listening yet.

    Raises:
        ValueError: the settings name no store of events that there is, or certificates, callers or
            a request log that cannot be used.
    """
    security = open_security(config.tls, config.access)
    store = ModelStore(config, open_model)
    event_store = store_of(config.events)
    events = None if event_store is None else RecordedEvents(event_store, config.events)
    health_service = HealthService()
    request_log = RequestLog(config.observing) if config.observing.request_log else None
    server, calls = grpc.aio.server(options=_options(config.connections)), CallStats()
    reception = Reception(config.batching.tenant_key, security.admit)
    observers = [each for each in (request_log, _open_tracing(config.observing)) if each]
    registry = cast(grpc.aio.Server, CallRegistry(server, calls, reception, observers))
    recommendation_service_pb2_grpc.add_RecommendationServiceServicer_to_server(
        RecommendationService(store, config.limits, events), registry
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        ModelService(store, config.limits), registry
    )
    feedback_service_pb2_grpc.add_FeedbackServiceServicer_to_server(
        FeedbackService(events, config.limits), registry
    )
    health_pb2_grpc.add_HealthServicer_to_server(health_service, registry)
    if config.reflection:
        names = (*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
        # Not by `enable_server_reflection`, which takes a registry for a server without asyncio.
        servicer = reflection.aio.ReflectionServicer((*names, reflection.SERVICE_NAME))
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(  # type: ignore[no-untyped-call]
            servicer, registry
        )
    told = Health(health_service, store, events)
    return App(server, told, store, events, calls, security, request_log, observers)


def _open_tracing(config: ObservingConfig) -> CallObserver | None:
    if not config.otel:
        return None
    try:
        from recserve_server.observing.tracing import Tracing, open_provider
    except ImportError as error:
        raise ValueError(
            f"otel needs pip install 'recserve-server[otel]': {error.name} is missing"
        ) from error
    return Tracing(open_provider())


def _options(config: ConnectionsConfig) -> list[tuple[str, int]]:
    """Returns the limits by gRPC's names (grpc/impl/channel_arg_names.h); 0 is for ever."""
    durations = {
        "grpc.max_connection_age_ms": config.max_age_s,
        "grpc.max_connection_age_grace_ms": config.max_age_grace_s,
        "grpc.max_connection_idle_ms": config.max_idle_s,
        "grpc.keepalive_time_ms": config.keepalive_s,
        "grpc.keepalive_timeout_ms": config.keepalive_timeout_s,
        # By itself gRPC takes a ping in five minutes, two hours without calls: a client that looks
        # after its connection, as ours does, would be cut off. A little less than what is promised:
        # a client's timers are not exact.
        "grpc.http2.min_recv_ping_interval_without_data_ms": 0.9 * config.min_ping_interval_s,
    }
    return [
        # With it a second server on the port would bind, and take half of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", config.max_message_bytes),
        ("grpc.max_metadata_size", config.max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", 2 * config.max_metadata_bytes),
        ("grpc.max_concurrent_streams", config.max_concurrent_streams),
        ("grpc.keepalive_permit_without_calls", 1),
        # Refusing in Python takes as long as answering. What gRPC lets go by itself, unseen, costs
        # next to nothing; without a limit of ours it does so beyond 1000 calls at random.
        ("grpc.server.max_pending_requests", config.max_pending),
        ("grpc.server.max_pending_requests_hard_limit", config.max_pending),
        *((name, round(seconds * 1000)) for name, seconds in durations.items() if seconds),
    ]
