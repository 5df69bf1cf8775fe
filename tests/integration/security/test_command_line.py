"""The commands of `recserve` as programs, against a server with TLS for known callers."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from credentials import NIGHTLY, SHOP, Files, chain_of

from recserve_server.config import AccessConfig, ServerConfig
from recserve_server.lifecycle import Server
from recserve_server.testing import running_server

LOAD = ("--concurrency", "2", "--duration", "0.3s", "--warmup", "0", "--quiet", "--timeout", "30s")
CERTIFIED = """
[[caller]]
name = "laptop"
certificate = "laptop.example.org"
may = ["recommend", "admin"]
"""


@pytest.fixture
async def server(
    mtls_config: ServerConfig, callers_file: Path, files: Files
) -> AsyncIterator[Server]:
    """A server whose clients need a certificate; of one of them it says who calls."""
    callers_file.write_text(callers_file.read_text() + CERTIFIED)
    access = AccessConfig(callers_file=callers_file)
    async with running_server(replace(mtls_config, access=access)) as running:
        yield running


@pytest.fixture
def shown(files: Files) -> tuple[str, ...]:
    """The flags for a certificate that says who calls."""
    return flags_of(files, "laptop.example.org")


def flags_of(files: Files, name: str) -> tuple[str, ...]:
    issued = files.authority.issue_cert(name)
    certificate, key = (files.client_ca.with_name(f"{name}.{end}") for end in ("crt", "key"))
    files.write(certificate, chain_of(issued))
    files.write(key, issued.private_key_pem.bytes())
    # Here the authority of clients is that of the server too.
    return ("--ca", str(files.client_ca), "--cert", str(certificate), "--key", str(key))


async def run(server: Server, *argv: str, token: str = "") -> tuple[int, str, str]:
    """Runs a command; returns its exit code, what it printed, and what it said of failures."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "recserve_client", *argv, "--target", server.address),
        env={"RECSERVE_TOKEN": token},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, told = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), told.decode()


async def test_a_certificate_says_who_calls(server: Server, shown: tuple[str, ...]) -> None:
    code, out, told = await run(server, "models", "--json", "--timeout", "30", *shown)

    assert (code, told) == (0, "")
    assert [each["name"] for each in json.loads(out)["models"]] == ["films"]


async def test_a_token_says_who_calls_whatever_the_certificate(
    server: Server, shown: tuple[str, ...]
) -> None:
    ask = ("models", "--timeout", "30", *shown)

    assert (await run(server, *ask, token=NIGHTLY))[0] == 0
    code, out, told = await run(server, *ask, token=SHOP)
    assert (code, out) == (1, "")
    assert told.startswith("recserve: ")
    assert "admin" in told
    assert SHOP not in told


async def test_a_caller_that_nobody_knows_is_refused_in_one_line(
    server: Server, files: Files
) -> None:
    shown = flags_of(files, "stranger.example.org")

    code, out, told = await run(server, "recommend", "--user", "u0", "--timeout", "30", *shown)

    assert (code, out, told.count("\n")) == (1, "", 1)
    assert "its certificate is not known here; --token-file, $RECSERVE_TOKEN or --cert" in told


async def test_a_server_is_alive_to_whoever_has_a_connection(server: Server, files: Files) -> None:
    shown = flags_of(files, "stranger.example.org")

    found = await run(server, "health", "--service", "liveness", "--timeout", "30", *shown)

    assert found == (0, "liveness: serving\n", "")


async def test_a_load_test_is_a_caller_too(
    server: Server, callers_file: Path, shown: tuple[str, ...]
) -> None:
    ids = callers_file.with_name("ids")
    ids.write_text("u0\nu1\n")

    code, out, _ = await run(server, "loadtest", *LOAD, "--users", str(ids), *shown, "--json", "-")

    assert code == 0
    [stage] = json.loads(out)["stages"]
    assert stage["ok"] > 0
    assert stage["errors"] == {}
