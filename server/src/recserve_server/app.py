"""The composition root: config -> a wired gRPC server; no logic."""

from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from recserve.v1 import (
    model_service_pb2,
    model_service_pb2_grpc,
    recommendation_service_pb2,
    recommendation_service_pb2_grpc,
)
from recserve_server.config import ServerConfig
from recserve_server.interceptors import CallInterceptor
from recserve_server.model import Retriever
from recserve_server.model_service import ModelService
from recserve_server.model_store import ModelStore, OpenRetriever
from recserve_server.recommendation_service import RecommendationService

SERVICES = (
    recommendation_service_pb2.DESCRIPTOR.services_by_name["RecommendationService"].full_name,
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


def open_saved_model(folder: Path) -> Retriever:
    """Opens a version with TensorFlow."""
    # TensorFlow takes seconds to import: not before a model is there to be loaded.
    from recserve_server.saved_model import SavedModelRetriever

    return SavedModelRetriever(folder)


def build_app(config: ServerConfig, open_retriever: OpenRetriever) -> App:
    """Wires a server that is not listening yet."""
    store = ModelStore(config.models_dir, config.name, open_retriever)
    recommendations = RecommendationService(store, config.limits)
    health_servicer = health.aio.HealthServicer()
    server = grpc.aio.server(interceptors=[CallInterceptor()], options=_options(config))
    recommendation_service_pb2_grpc.add_RecommendationServiceServicer_to_server(
        recommendations, server
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(
        ModelService(store, config.limits), server
    )
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    if config.reflection:
        names = (*SERVICES, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name)
        reflection.enable_server_reflection((*names, reflection.SERVICE_NAME), server)
    return App(server, health_servicer, store, recommendations)


def _options(config: ServerConfig) -> list[tuple[str, int]]:
    return [
        # With it a second server on the port would bind, and take half of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", config.max_message_bytes),
    ]
