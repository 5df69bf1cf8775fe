"""`recserve-serve admin` as operators run it, at a running server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path += [
    str(Path(__file__).parents[1] / "integration" / "lifecycle"),  # for server_programs.py
    str(Path(__file__).parents[1] / "unit" / "server" / "models"),  # for versions_world.py
]

from server_programs import Program, program
from versions_world import publish, write_golden

from recserve_client import RecommenderClient


def admin(socket: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "recserve_server", "admin", "--admin-socket", socket]
    return subprocess.run(
        [*map(str, command), *map(str, arguments)], capture_output=True, text=True, timeout=60
    )


class Operated:
    """A server with a control socket, and answers to who serves."""

    def __init__(self, server: Program, socket: Path) -> None:
        self.server, self.socket = server, socket
        self.address = server.wait_until_serving()

    def says(self, *arguments: object) -> dict:
        """Runs a command that must succeed; returns the status of the only model."""
        ran = admin(self.socket, "--json", *arguments)
        assert (ran.returncode, ran.stderr) == (0, "")
        return json.loads(ran.stdout)["models"][0]

    def version(self) -> int:
        with RecommenderClient(self.address, timeout_s=20) as client:
            return client.recommend("u0").model_version


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operated]:
    """A server of versions 1 to 3, and of a fourth that it has refused."""
    folder = tmp_path_factory.mktemp("operated")
    publish(folder / "models", 1, 2, 3)
    write_golden(publish(folder / "models", 4), as_version=9)
    flags = ("--admin-socket", folder / "socket", "--labels", folder / "labels.json")
    with program(folder, *flags) as server:
        yield Operated(server, folder / "socket")


def test_the_status_is_a_table_for_people(operated: Operated) -> None:
    ran = admin(operated.socket, "status")

    title, head, refused, serving, *_ = ran.stdout.splitlines()
    assert ran.returncode == 0
    assert title == "films: answers, rollback would go to 2"
    assert head.split() == ["VERSION", "STATE", "LABELS", "GOLDEN", "MEMORY", "LOADED", "WHY"]
    assert refused.split()[:2] == ["4", "refused"]
    assert "golden queries expect" in refused
    assert serving.split()[:3] == ["3", "serving", "stable"]
    assert " MiB " in serving
    assert all(line == line.rstrip() for line in ran.stdout.splitlines())


def test_a_version_is_pinned_rolled_back_tried_and_let_go(operated: Operated) -> None:
    assert operated.says("pin", 1)["pinned"]
    assert operated.version() == 1
    assert operated.says("rollback")["previous"] == 1
    assert operated.version() == 3

    tried = operated.says("canary", 2, "--percent", 100)
    assert tried["canary_percent"] == 100
    assert operated.version() == 2
    operated.says("promote")
    assert operated.version() == 2

    assert not operated.says("unpin", "films")["pinned"]
    assert operated.version() == 3


def test_a_share_is_told_beside_its_canary(operated: Operated) -> None:
    operated.says("canary", "films", 1, "--percent", 2.5)
    try:
        lines = admin(operated.socket, "status").stdout.splitlines()
        assert lines[0].startswith("films: answers, pinned")
        assert any("canary 2.5%" in line for line in lines)
    finally:
        operated.says("unpin")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("pin", 9), "there is no version 9 of films, only 1, 2, 3, 4"),
        (("pin", 4), "version 4 of films was refused: it answers"),
        (("pin", "books", 1), "there is no model 'books'"),
        (("pin", -1), "version is -1, must be 1 or more"),
        (("canary", 1, "--percent", 101), "canary_percent is 101"),
        (("canary", 1, "--percent", "nan"), "canary_percent is nan"),
        (("promote",), "films has no canary to promote"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(
    operated: Operated, arguments: tuple[object, ...], reason: str
) -> None:
    ran = admin(operated.socket, *arguments)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"recserve-serve admin: {reason}")
    assert ran.stderr.count("\n") == 1
    assert operated.version() == 3


@pytest.mark.parametrize(
    "arguments", [(), ("destroy",), ("pin",), ("pin", "films", "one"), ("canary", 1, "--percent")]
)
def test_wrong_usage_is_exit_code_two(tmp_path: Path, arguments: tuple[object, ...]) -> None:
    ran = admin(tmp_path / "socket", *arguments)

    assert ran.returncode == 2
    assert ran.stderr.startswith("usage: recserve-serve admin")
    assert "Traceback" not in ran.stderr


def test_without_a_server_it_is_told_in_one_line(tmp_path: Path) -> None:
    ran = admin(tmp_path / "socket", "status")

    assert ran.returncode == 1
    assert ran.stderr == f"recserve-serve admin: {tmp_path}/socket: No such file or directory\n"


def test_a_reload_takes_what_has_come(operated: Operated) -> None:
    publish(operated.socket.parent / "models", 5)

    states = {each["version"]: each["state"] for each in operated.says("reload")["versions"]}

    assert states[5] == "serving"
    assert operated.version() == 5


def test_labels_are_kept_for_the_next_server(operated: Operated) -> None:
    operated.says("pin", 2)
    assert operated.server.stop() == 0
    assert not operated.socket.exists()

    folder = operated.socket.parent
    flags = ("--admin-socket", operated.socket, "--labels", folder / "labels.json")
    with program(folder, *flags) as server:
        next_one = Operated(server, operated.socket)
        assert next_one.version() == 2
        assert next_one.says("status")["pinned"]
        assert server.stop() == 0
