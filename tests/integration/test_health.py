import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from recserve_client import AsyncRecommenderClient, ChannelConfig, HealthStatus, UnavailableError
from recserve_server.config import EventsConfig, ServerConfig
from recserve_server.lifecycle import Server, StartError
from recserve_server.matrix_model import MatrixRetriever, open_matrix
from recserve_server.testing import open_with, running_server

READINESS = ["", "recserve.v1.RecommendationService"]
SERVICES = [*READINESS, "recserve.v1.ModelService"]
NO_RETRIES = ChannelConfig(max_attempts=1)


@pytest.mark.parametrize("service", SERVICES)
async def test_every_service_tells_that_it_serves(
    client: AsyncRecommenderClient, service: str
) -> None:
    assert await client.check_health(service) is HealthStatus.SERVING


async def test_a_service_that_is_not_there_is_unknown(client: AsyncRecommenderClient) -> None:
    assert await client.check_health("no.such.Service") is HealthStatus.SERVICE_UNKNOWN


async def test_while_the_model_loads_calls_are_refused_and_health_says_so(
    config: ServerConfig,
) -> None:
    gate = threading.Event()

    def open_slowly(folder: Path) -> MatrixRetriever:
        assert gate.wait(20)
        return open_matrix(folder)

    server = Server(config, open_with(open_slowly))
    await server.start()
    loading = asyncio.create_task(server.load())
    async with AsyncRecommenderClient(server.address, config=NO_RETRIES) as client:
        for service in READINESS:
            assert await client.check_health(service) is HealthStatus.NOT_SERVING
        for service in ("liveness", "recserve.v1.ModelService"):
            assert await client.check_health(service) is HealthStatus.SERVING
        with pytest.raises(UnavailableError) as caught:
            await client.recommend("u0")
        gate.set()
        await loading

        assert caught.value.reason == "NOT_READY"
        assert await client.check_health() is HealthStatus.SERVING
        assert len(await client.recommend("u0", k=1)) == 1
    await server.drain()


async def test_feedback_is_served_only_where_events_are_kept(
    config: ServerConfig, tmp_path: Path
) -> None:
    service = "recserve.v1.FeedbackService"
    keeping = replace(config, events=EventsConfig(location=str(tmp_path / "events.db")))
    for each, expected in ((config, HealthStatus.NOT_SERVING), (keeping, HealthStatus.SERVING)):
        async with (
            running_server(each) as server,
            AsyncRecommenderClient(server.address) as client,
        ):
            assert await client.check_health(service) is expected


async def test_a_server_that_drains_is_alive_though_it_takes_no_calls(
    config: ServerConfig,
) -> None:
    server = Server(replace(config, drain_delay_s=0.5), open_with(open_matrix))
    await server.start()
    await server.load()
    async with AsyncRecommenderClient(server.address, config=NO_RETRIES) as client:
        assert await client.check_health() is HealthStatus.SERVING
        draining = asyncio.create_task(server.drain())
        while await client.check_health() is HealthStatus.SERVING:
            await asyncio.sleep(0.01)

        assert await client.check_health("liveness") is HealthStatus.SERVING
        for service in SERVICES:
            assert await client.check_health(service) is HealthStatus.NOT_SERVING
    await draining


async def test_a_watcher_sees_the_server_come_and_go(config: ServerConfig) -> None:
    server = Server(replace(config, drain_delay_s=0.3), open_with(open_matrix))
    await server.start()
    async with grpc.aio.insecure_channel(server.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        seen = [(await watch.read()).status]
        await server.load()
        seen.append((await watch.read()).status)
        draining = asyncio.create_task(server.drain())
        seen.append((await watch.read()).status)
        watch.cancel()
        await draining

    status = health_pb2.HealthCheckResponse
    assert seen == [status.NOT_SERVING, status.SERVING, status.NOT_SERVING]


async def test_a_port_in_use_is_refused(server: Server, config: ServerConfig) -> None:
    second = Server(replace(config, address=server.address), open_with(open_matrix))

    with pytest.raises(StartError, match="is the port in use"):
        await second.start()


@pytest.mark.parametrize("enabled", [True, False])
async def test_reflection_is_answered_only_when_asked_for(
    config: ServerConfig, enabled: bool
) -> None:
    async with (
        running_server(replace(config, reflection=enabled)) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
        if not enabled:
            assert await call.code() is grpc.StatusCode.UNIMPLEMENTED
            return
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        answer = await call.read()
        await call.done_writing()

    names = {service.name for service in answer.list_services_response.service}
    assert names >= {*SERVICES[1:], "grpc.health.v1.Health"}
