"""More connections than there are files for, and thousands that do nothing."""

import contextlib
import socket
from pathlib import Path

import pytest
from server_process import ServerProcess, server_process

OPEN_FILES = 128


def connect(server: ServerProcess, timeout_s: float = 20.0) -> socket.socket:
    host, _, port = server.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=timeout_s)


def test_a_server_without_files_left_takes_connections_again_when_some_are_closed(
    tmp_path: Path,
) -> None:
    with server_process(tmp_path, "--open-files", OPEN_FILES) as server:
        with contextlib.ExitStack() as connections:
            for _ in range(2 * OPEN_FILES):  # the kernel queues what the server cannot accept
                connections.enter_context(connect(server))
            server.wait_for_files(OPEN_FILES, at_least=True)
            assert server.process.poll() is None

        server.wait_until_well()
        assert server.defects() == []


@pytest.mark.long
def test_a_client_that_is_connected_is_served_while_no_other_gets_in(tmp_path: Path) -> None:
    with (
        server_process(tmp_path, "--open-files", OPEN_FILES) as server,
        server.client() as client,
    ):
        client.recommend("u0")
        with contextlib.ExitStack() as connections:
            for _ in range(2 * OPEN_FILES):
                connections.enter_context(connect(server))
            server.wait_for_files(OPEN_FILES, at_least=True)

            assert client.recommend("u1", k=1).items


@pytest.mark.parametrize("count", [500, pytest.param(4000, marks=pytest.mark.long)])
@pytest.mark.usefixtures("unharmed")
def test_connections_that_do_nothing_hold_up_nobody(attacked: ServerProcess, count: int) -> None:
    before = attacked.open_files()
    with contextlib.ExitStack() as connections:
        for _ in range(count):
            connections.enter_context(connect(attacked))
        attacked.wait_for_files(before + count, at_least=True)

        attacked.check_answers()
    attacked.wait_for_files(before)
