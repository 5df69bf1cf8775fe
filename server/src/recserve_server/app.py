"""The composition root: config -> a wired gRPC server; no logic."""

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from recserve.artifact.v1 import manifest_pb2
from recserve.v1 import (
    feedback_service_pb2,
    feedback_service_pb2_grpc,
    model_service_pb2,
    model_service_pb2_grpc,
    recommendation_service_pb2,
    recommendation_service_pb2_grpc,
)
from recserve_server.calls.registry import CallRegistry
from recserve_server.config import ServerConfig
from recserve_server.events.opening import store_of
from recserve_server.events.recorded import RecordedEvents
from recserve_server.feedback_service import FeedbackService
from recserve_server.model import ModelRunner
from recserve_server.model_process.messages import Opening
from recserve_server.model_process.runner import ModelProcess
from recserve_server.model_service import ModelService
from recserve_server.models.store import ModelStore, OpenModel
from recserve_server.recommendation_service import RecommendationService
from recserve_server.stats import CallStats

SERVICES = (
    recommendation_service_pb2.DESCRIPTOR.services_by_name["RecommendationService"].full_name,
    feedback_service_pb2.DESCRIPTOR.services_by_name["FeedbackService"].full_name,
    model_service_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name,
)
"""Full names of the services whose health is told, besides "" for the whole server."""


@dataclass(frozen=True, slots=True)
class App:
    """Everything that runs in one server process."""

    server: grpc.aio.Server
    health: health.aio.HealthServicer
    store: ModelStore
    recommendations: RecommendationService
    events: RecordedEvents | None
    calls: CallStats


def open_in_process(
    config: ServerConfig, folder: Path, manifest: manifest_pb2.Manifest
) -> ModelRunner:
    """Opens a verified version in a process of its own; an `OpenModel`."""
    return ModelProcess(
        Opening(
            folder=folder,
            manifest=manifest.SerializeToString(),
            batch_sizes=config.batching.batch_sizes,
            max_k=config.limits.max_k,
            log_level=config.log_level,
            log_format=config.log_format,
        )
    )


def build_app(config: ServerConfig, open_model: OpenModel) -> App:
    """Wires a server that is not listening yet.

    Raises:
        ValueError: the settings name no store of events that there is.
    """
    store = ModelStore(config, open_model)
    event_store = store_of(config.events)
    events = None if event_store is None else RecordedEvents(event_store, config.events)
    recommendations = RecommendationService(store, config.limits, events)
    health_servicer = health.aio.HealthServicer()
    server, calls = grpc.aio.server(options=_options(config)), CallStats()
    registry = cast(grpc.aio.Server, CallRegistry(server, calls))
    recommendation_service_pb2_grpc.add_RecommendationServiceServicer_to_server(
        recommendations, registry
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        ModelService(store, config.limits), registry
    )
    feedback_service_pb2_grpc.add_FeedbackServiceServicer_to_server(
        FeedbackService(events, config.limits), registry
    )
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, registry)
    if config.reflection:
        names = (*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
        reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), registry)
    return App(server, health_servicer, store, recommendations, events, calls)


def _options(config: ServerConfig) -> list[tuple[str, int]]:
    min_ping_interval_ms = round(config.connections.min_ping_interval_s * 1000)
    return [
        # With it a second server on the port would bind, and take half of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", config.connections.max_message_bytes),
        # By itself gRPC takes a ping in five minutes, two hours without calls: a client that looks
        # after its connection, as ours does, would be cut off.
        ("grpc.http2.min_recv_ping_interval_without_data_ms", min_ping_interval_ms),
        ("grpc.keepalive_permit_without_calls", 1),
        # Refusing in Python takes as long as answering. What gRPC lets go by itself, unseen, costs
        # next to nothing; without a limit of ours it does so beyond 1000 calls at random.
        ("grpc.server.max_pending_requests", config.connections.max_pending),
        ("grpc.server.max_pending_requests_hard_limit", config.connections.max_pending),
    ]
