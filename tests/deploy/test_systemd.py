import shlex
import shutil
import subprocess
from argparse import Namespace
from pathlib import Path

import pytest

from recserve_server.cli.flags import serve_parser
from recserve_server.cli.settings import config_of

SYSTEMD = Path(__file__).parents[2] / "deploy" / "systemd"
UNIT = SYSTEMD / "recserve.service"
MOST_EXPOSED = 20
"""Tenths, of 100; systemd calls less than 4.0 fine."""

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


class Unit:
    """The [Service] section; a setting may be there several times."""

    def __init__(self, path: Path) -> None:
        lines = path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
        service = lines[lines.index("[Service]") + 1 : lines.index("[Install]")]
        settings = [line.partition("=") for line in service if line and not line.startswith("#")]
        self._settings = [(name, value) for name, _, value in settings]

    def all(self, name: str) -> list[str]:
        return [value for each, value in self._settings if each == name]

    def one(self, name: str) -> str:
        [value] = self.all(name)
        return value


@pytest.fixture
def unit() -> Unit:
    return Unit(UNIT)


@pytest.fixture
def flags(unit: Unit) -> Namespace:
    _, *arguments = shlex.split(unit.one("ExecStart"))
    return serve_parser().parse_args([each for each in arguments if not each.startswith("$")])


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The unit with a program that is there."""
    text = UNIT.read_text(encoding="utf-8")
    assert "/opt/recserve/bin/recserve-serve" in text
    path = tmp_path / UNIT.name
    path.write_text(text.replace("/opt/recserve/bin/recserve-serve", "/bin/true"), encoding="utf-8")
    return path


def analyze(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60
    )


@needs_systemd
def test_systemd_finds_nothing_wrong(installed: Path) -> None:
    verified = analyze("verify", "--man=no", installed)

    assert (verified.returncode, verified.stderr) == (0, "")


@needs_systemd
def test_systemd_would_tell_a_setting_that_there_is_not(installed: Path) -> None:
    installed.write_text(installed.read_text().replace("KillMode=", "KilMode="))

    assert "KilMode" in analyze("verify", "--man=no", installed).stderr


@needs_systemd
def test_the_service_is_little_exposed(installed: Path) -> None:
    rated = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", installed)

    assert rated.returncode == 0, rated.stdout.splitlines()[-1]


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd is not installed")
def test_the_user_of_the_service_can_be_made(unit: Unit) -> None:
    made = subprocess.run(
        ["systemd-sysusers", "--dry-run", SYSTEMD / "recserve.sysusers.conf"],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert made.returncode == 0, made.stderr
    [line] = [
        line
        for line in (SYSTEMD / "recserve.sysusers.conf").read_text().splitlines()
        if line.startswith("u ")
    ]
    assert line.split()[1] == unit.one("User") == unit.one("Group")


def test_the_server_understands_its_command_line(flags: Namespace) -> None:
    assert config_of(flags).name == ""  # the only model that there is


def test_systemd_waits_longer_than_a_drain_takes(unit: Unit, flags: Namespace) -> None:
    assert float(unit.one("TimeoutStopSec")) >= flags.drain_delay + flags.grace + 5
    assert (unit.one("KillSignal"), unit.one("KillMode")) == ("SIGTERM", "mixed")


def test_the_server_can_write_its_socket_and_labels_but_not_its_models(
    unit: Unit, flags: Namespace
) -> None:
    assert unit.one("ProtectSystem") == "strict"
    assert Path(unit.one("ReadOnlyPaths")) == flags.models
    assert flags.admin_socket.parent == Path("/run") / unit.one("RuntimeDirectory")
    assert flags.labels.parent == Path("/var/lib") / unit.one("StateDirectory")


def test_nothing_listens_to_other_machines_unless_told(flags: Namespace) -> None:
    assert flags.address.startswith("127.0.0.1:")
    assert flags.admin_address.startswith("127.0.0.1:")


def test_further_flags_come_last_and_so_decide(unit: Unit) -> None:
    *arguments, last = shlex.split(unit.one("ExecStart"))

    assert last == "$RECSERVE_FLAGS"
    parsed = serve_parser().parse_args([*arguments[1:], "--address=0.0.0.0:8500"])
    assert parsed.address == "0.0.0.0:8500"


def test_a_reload_sends_the_signal_that_makes_the_server_look(unit: Unit) -> None:
    assert unit.one("ExecReload") == "/bin/kill -HUP $MAINPID"
    assert "SIGHUP" in serve_parser().format_help()
