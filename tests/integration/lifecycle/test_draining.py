"""The end of a server: what is under way is finished, whatever it was doing."""

import asyncio
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from callers import NO_RETRIES, move_in, under_load, until
from grpc_health.v1 import health_pb2, health_pb2_grpc
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes
from server_programs import program
from versions_world import best, publish

from recserve_client import (
    AsyncRecommenderClient,
    HealthStatus,
    Recommendation,
    RecommenderClient,
    UnavailableError,
)
from recserve_server.config import ServerConfig
from recserve_server.control.protocol import to_line
from recserve_server.lifecycle import Server
from recserve_server.matrix_model import open_matrix
from recserve_server.models.version import State
from recserve_server.testing import open_with

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def started(config: ServerConfig) -> Server:
    server = Server(config, open_with(open_matrix))
    await server.start()
    await server.load()
    return server


def is_right(answer: Recommendation, user: int) -> bool:
    return [item.item_id for item in answer] == best(answer.model_version, user, 5)


async def test_during_the_drain_delay_calls_are_answered_though_health_says_no(
    config: ServerConfig,
) -> None:
    server = await started(replace(config, drain_delay_s=0.5))
    async with under_load(server.address, callers=4) as load:
        await until(lambda: load.answered > 5)
        draining = asyncio.create_task(server.drain())
        async with AsyncRecommenderClient(server.address) as client:
            await until(lambda: not server.app.health.is_serving)
            assert await client.check_health() is HealthStatus.NOT_SERVING
            before = load.answered
            await until(lambda: load.answered > before + 5)
            assert load.failed == []
        load.stop()
        await draining

    assert load.wrong == []


async def test_watchers_are_told_of_the_end_and_let_go(config: ServerConfig) -> None:
    server = await started(config)
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(20)]
        assert {(await each.read()).status for each in watches} == {SERVING}
        start_s = time.monotonic()
        draining = asyncio.create_task(server.drain())

        assert {(await each.read()).status for each in watches} == {NOT_SERVING}
        await draining

    # They would have gone on for the whole grace if they had been waited for.
    assert time.monotonic() - start_s < config.grace_s


async def test_a_watcher_who_reads_nothing_keeps_nobody_from_the_end(config: ServerConfig) -> None:
    server = await started(replace(config, grace_s=0.5))
    host, port = server.address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(stalled_watch())
    await reader.read(1)  # the server has something to say by now
    await asyncio.sleep(0.2)  # and has tried to tell the status

    async with asyncio.timeout(10):
        await server.drain()

    writer.close()


def stalled_watch() -> bytes:
    """Returns a watch of health by a client that gives its server no room to write."""
    connection = H2Connection(H2Configuration(client_side=True))
    connection.initiate_connection()
    connection.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/grpc.health.v1.Health/Watch",
        ":authority": "server",
        "content-type": "application/grpc",
        "te": "trailers",
    }
    connection.send_headers(1, list(headers.items()))
    connection.send_data(1, b"\0" * 5, end_stream=True)  # an empty request
    return connection.data_to_send()


async def test_an_end_during_a_swap_is_answered_by_the_version_that_serves(
    config: ServerConfig,
) -> None:
    opening, opened = asyncio.Event(), open_with(open_matrix)

    async def open_for_ever(config: ServerConfig, folder: Path, *rest: object) -> object:
        if folder.name == "2":
            opening.set()
            await asyncio.Event().wait()
        return await opened(config, folder, *rest)

    server = Server(replace(config, drain_delay_s=0.5), open_for_ever)
    await server.start()
    await server.load()
    async with under_load(server.address, callers=4) as load:
        await until(lambda: load.answered > 5)
        move_in(config.models_dir, 2)
        async with asyncio.timeout(20):
            await opening.wait()
        assert server.store.version("films", 2).state is State.LOADING
        before = load.answered
        await until(lambda: load.answered > before + 5)
        load.stop()
        async with asyncio.timeout(10):
            await server.drain()

    assert (load.failed, load.wrong, set(load.versions)) == ([], [], {1})


def test_calls_that_run_and_that_wait_are_answered_before_the_end(tmp_path: Path) -> None:
    publish(tmp_path / "models", 1)
    flags, calls = ("--max-batch-size", 2, "--max-queue-delay-ms", 20_000), 8
    with program(tmp_path, *flags, batch_s=0.25) as server, ThreadPoolExecutor(calls) as threads:
        address = server.wait_until_serving()
        with RecommenderClient(address, timeout_s=20, config=NO_RETRIES) as client:
            asked = [threads.submit(client.recommend, f"u{call % 4}", k=5) for call in range(calls)]
            time.sleep(0.3)  # the first batch is under way, the others wait for it

            assert server.stop() == 0

            assert all(is_right(each.result(), call % 4) for call, each in enumerate(asked))


@pytest.mark.long
def test_what_takes_longer_than_the_grace_is_given_up_and_the_end_is_in_order(
    tmp_path: Path,
) -> None:
    publish(tmp_path / "models", 1)
    with program(tmp_path, "--grace", 0.3, batch_s=3.0) as server, ThreadPoolExecutor(1) as threads:
        address = server.wait_until_serving()
        with RecommenderClient(address, timeout_s=20, config=NO_RETRIES) as client:
            asked = threads.submit(client.recommend, "u0")
            time.sleep(0.5)

            assert server.stop() == 0
            assert isinstance(asked.exception(20), UnavailableError)
    assert "Traceback" not in server.log.read_text()


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    publish(tmp_path / "models", 1)
    with program(tmp_path, "--drain-delay", 60) as server:
        server.wait_until_serving()
        server.send(signal.SIGTERM)
        server.wait_for("draining")

        assert server.stop() == 1


@pytest.mark.long
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_an_end_under_load_answers_whoever_was_let_in(tmp_path: Path, sent: signal.Signals) -> None:
    publish(tmp_path / "models", 1)
    with program(tmp_path, "--drain-delay", 0.5, "--grace", 10, batch_s=0.01) as server:
        address = server.wait_until_serving()

        async def load_until_it_ends() -> tuple[int, list[str], list[str]]:
            async with under_load(address, callers=8) as load:
                await until(lambda: load.answered > 50)
                server.send(sent)
                async with AsyncRecommenderClient(address, config=NO_RETRIES) as client:
                    while await client.check_health() is HealthStatus.SERVING:
                        await asyncio.sleep(0.01)
                load.stop()  # as callers do who look at health
                return load.answered, load.failed, load.wrong

        _, failed, wrong = asyncio.run(load_until_it_ends())
        assert (failed, wrong) == ([], [])
        assert server.process.wait(30) == 0


@pytest.mark.long
def test_a_server_that_ends_while_it_starts_is_in_order(tmp_path: Path) -> None:
    publish(tmp_path / "models", 1)
    with program(tmp_path, load_s=60) as server:
        server.wait_for("listening, loading the model")

        assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


@pytest.mark.long
def test_a_command_under_way_does_not_outlive_the_end(tmp_path: Path) -> None:
    publish(tmp_path / "models", 1, 2)
    with program(tmp_path, "--admin-socket", tmp_path / "socket", load_s=1.5) as server:
        server.wait_until_serving()
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(tmp_path / "socket"))
            connection.sendall(to_line({"command": "pin", "version": 1}))
            server.wait_for("running a command")
            time.sleep(0.3)  # its model is being loaded

            assert server.stop() == 0
        assert "Traceback" not in server.log.read_text()
    assert not (tmp_path / "socket").exists()
