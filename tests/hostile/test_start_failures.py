"""What keeps recserve-serve from starting: one line says why, and the exit code is not 0."""

import resource
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hostile_world import publish
from server_process import server_process

TIMEOUT_S = 60


def start(
    *flags: object, limit: Callable[[], None] | None = None
) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "recserve_server", "--admin-address", "", *map(str, flags)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        preexec_fn=limit,
        check=False,
    )


def check_told(ran: "subprocess.CompletedProcess[str]", code: int, reason: str) -> None:
    """Checks that the last line of standard error gives the reason."""
    assert ran.returncode == code, ran.stderr
    told = ran.stderr.splitlines()[-1]
    assert told.startswith("recserve-serve: ")
    assert reason in told
    assert "Traceback" not in ran.stderr


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return publish(tmp_path / "models")


def test_a_port_in_use_is_told(models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        check_told(start("--models", models, "--address", address), 1, address)


@pytest.mark.parametrize("address", ["203.0.113.1:0", "no.such.host.invalid:8500"])
def test_an_address_that_is_not_here_is_told(models: Path, address: str) -> None:
    check_told(start("--models", models, "--address", address), 1, address)


@pytest.mark.parametrize(
    ("flag", "value", "named"),
    [
        ("--address", "nowhere", "address"),
        ("--address", "localhost:65536", "address"),
        ("--address", ":8500", "address"),
        ("--max-k", "0", "max_k"),
        ("--max-batch-size", "0", "max_batch_size"),
        ("--max-enqueued", "1", "max_enqueued"),
        ("--watchdog", "nan", "watchdog"),
        ("--grace", "inf", "grace"),
        ("--grace", "soon", "--grace"),
        ("--allowed-batch-sizes", "3,2", "allowed_batch_sizes"),
        ("--allowed-batch-sizes", "x", "--allowed-batch-sizes"),
        ("--max-message-bytes", "-1", "max_message_bytes"),
        ("--versions", "newest", "versions"),
        ("--tls-cert", "c.pem", "tls_cert"),
        ("--no-such-flag", "1", "--no-such-flag"),
    ],
)
def test_a_wrong_setting_is_named(models: Path, flag: str, value: str, named: str) -> None:
    check_told(start("--models", models, flag, value), 2, named)


@pytest.mark.parametrize("place", ["/proc/events.sqlite", "/dev/null/events.sqlite", "/tmp"])
def test_a_folder_that_cannot_be_written_to_is_told(models: Path, place: str) -> None:
    ran = start("--models", models, "--address", "127.0.0.1:0", "--events", place)

    check_told(ran, 1, f"{place} cannot hold events")


@pytest.mark.parametrize("kind", ["missing", "file", "empty"])
def test_a_folder_without_models_is_told(tmp_path: Path, kind: str) -> None:
    place = tmp_path / kind
    if kind == "file":
        place.write_text("no folder")
    elif kind == "empty":
        place.mkdir()

    check_told(start("--models", place, "--address", "127.0.0.1:0"), 1, str(place))


@pytest.mark.parametrize("count", [8, 12, 16])
def test_too_few_open_files_are_told(models: Path, count: int) -> None:
    limit = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (count, count))

    check_told(start("--models", models, "--address", "127.0.0.1:0", limit=limit), 1, "open files")


@pytest.mark.long
@pytest.mark.tensorflow
def test_too_little_memory_for_the_model_is_told(models: Path) -> None:
    most_bytes = 800_000_000
    limit = partial(resource.setrlimit, resource.RLIMIT_AS, (most_bytes, most_bytes))

    ran = start("--models", models, "--address", "127.0.0.1:0", limit=limit)

    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith("recserve-serve: no version of films")


def test_without_ipv6_localhost_is_served_by_ipv4(tmp_path: Path) -> None:
    with server_process(tmp_path, "--address", "localhost:0") as server:
        port = server.address.rpartition(":")[2]

        server.at(f"127.0.0.1:{port}").check_answers()
