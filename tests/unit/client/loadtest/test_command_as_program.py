"""The command line as a process of its own: interrupted, on a full disk, without its extra."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recserve_client.loadtest.files import read_run
from recserve_client.testing import SAMPLE_ITEMS, FakeServer

PROGRAM = [sys.executable, "-m", "recserve_client", "loadtest"]
PATIENT_S = 60.0
USERS = {str(number): ["1", "2"] for number in range(1, 21)}
SHORT = ("--duration", "0.3s", "--warmup", "0", "--timeout", "30s", "--arrivals", "constant")


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeServer]:
    with FakeServer(SAMPLE_ITEMS, USERS) as running:
        yield running


@contextlib.contextmanager
def running(*argv: str, **options) -> Iterator[subprocess.Popen[str]]:
    """Runs the program in a session of its own, of which nothing is left afterwards."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    with subprocess.Popen(
        [*PROGRAM, *argv], text=True, start_new_session=True, **options
    ) as program:
        try:
            yield program
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)


def await_line(program: subprocess.Popen[str], beginning: str) -> None:
    assert program.stdout is not None
    assert any(line.startswith(beginning) for line in program.stdout), program.communicate()


def assert_nothing_is_left(program: subprocess.Popen[str]) -> None:
    give_up_s = time.monotonic() + PATIENT_S
    with contextlib.suppress(ProcessLookupError):
        while True:
            os.killpg(program.pid, 0)
            assert time.monotonic() < give_up_s, "some of its processes still run"
            time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "send"),
    [
        (signal.SIGINT, os.killpg),
        pytest.param(signal.SIGTERM, os.kill, marks=pytest.mark.long),
    ],
)
def test_an_interrupted_test_ends_at_once_with_a_line(
    fake: FakeServer, number: int, send: Callable[[int, int], None]
) -> None:
    argv = ("--target", fake.target, "--rate", "50", "--duration", "1h", "--processes", "2")
    with running(*argv) as program:
        await_line(program, "stage 1:")
        send(program.pid, number)
        _, told = program.communicate(timeout=PATIENT_S)
        assert_nothing_is_left(program)

    assert (program.returncode, told) == (1, "recserve loadtest: interrupted\n")


def test_stages_that_ended_before_an_interruption_are_reported(
    fake: FakeServer, tmp_path: Path
) -> None:
    file = tmp_path / "run.json"
    argv = ("--target", fake.target, "--rate", "50,60,70,80", "--duration", "2s", "--warmup", "0")
    with running(*argv, "--json", str(file)) as program:
        await_line(program, "stage 2:")
        os.killpg(program.pid, signal.SIGINT)
        out, told = program.communicate(timeout=PATIENT_S)

    assert (program.returncode, told) == (1, "recserve loadtest: interrupted\n")
    assert "note: interrupted: what had not ended by then is left out" in out
    assert 1 <= len(read_run(file).stages) < 4


def test_a_full_disk_is_one_line(fake: FakeServer, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    argv = ("--target", fake.target, *SHORT, "--concurrency", "2", "--quiet")
    with (
        Path("/dev/full").open("w", encoding="utf-8") as full,
        running(*argv, "--json", str(file), stdout=full) as program,
    ):
        _, told = program.communicate(timeout=PATIENT_S)

    line = "recserve loadtest: cannot write the result: No space left on device\n"
    assert (program.returncode, told) == (1, line)
    assert read_run(file).stages[0].ok > 0  # what has a file of its own is not lost


@pytest.mark.parametrize("module", ["hdrh", "rich", "hpack"])
def test_without_the_extra_it_says_what_to_install(module: str) -> None:
    program = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from recserve_client.__main__ import main\n"
        "sys.exit(main(['loadtest', '--rate', '5']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENT_S
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("recserve loadtest: ")
    assert ended.stderr.endswith("pip install 'recserve-client[load]'\n")
