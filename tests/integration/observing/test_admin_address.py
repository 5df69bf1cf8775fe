"""Where the HTTP listener is, and what happens if it cannot be there."""

import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from recserve_server.config import ServerConfig
from recserve_server.lifecycle import Server, StartError
from recserve_server.matrix_model import open_matrix
from recserve_server.testing import open_with, running_server


async def test_there_is_no_listener_unless_it_is_configured(config: ServerConfig) -> None:
    async with running_server(replace(config, admin_address="")) as server:
        assert server.admin_address == ""


async def test_an_admin_port_in_use_keeps_the_server_from_starting(config: ServerConfig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"localhost:{taken.getsockname()[1]}"
        server = Server(replace(config, admin_address=address), open_with(open_matrix))

        with pytest.raises(StartError, match=f"cannot listen on {address} for metrics: is the"):
            await server.start()


async def test_the_admin_port_is_free_again_if_the_other_one_is_in_use(
    server: Server, config: ServerConfig
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        admin_address = f"127.0.0.1:{found.getsockname()[1]}"
    late = replace(config, address=server.address, admin_address=admin_address)

    with pytest.raises(StartError, match=f"cannot listen on {server.address}: is the port"):
        await Server(late, open_with(open_matrix)).start()

    async with running_server(replace(late, address="127.0.0.1:0")) as third:
        assert third.admin_address == admin_address


def test_the_program_tells_an_admin_port_in_use_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"localhost:{taken.getsockname()[1]}"
        command = [sys.executable, "-m", "recserve_server", "--models", str(tmp_path)]
        command += ["--address", "127.0.0.1:0", "--admin-address", address]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert ran.returncode == 1
    assert ran.stdout == ""
    assert ran.stderr == (
        f"recserve-serve: cannot listen on {address} for metrics: is the port in use? "
        "--admin-address chooses another, '' none\n"
    )
