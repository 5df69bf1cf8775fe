"""The call of gRPC's own health service, apart because few programs make it."""

from typing import Final

from grpc_health.v1 import health_pb2

from recserve_client._encode import filled

from .methods import Method

CHECK: Final = Method(
    "grpc.health.v1.Health",
    "Check",
    health_pb2.HealthCheckRequest.SerializeToString,
    health_pb2.HealthCheckResponse.FromString,
)


def request(service: str) -> health_pb2.HealthCheckRequest:
    """Builds the question; raises InvalidRequestError as `filled` does."""
    return filled(health_pb2.HealthCheckRequest(), service=service)
