"""The time of day jumps under a running server."""

import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from server_process import ServerProcess, server_process

from recserve_client import Event, EventType, HealthStatus

pytestmark = pytest.mark.long

DAY_S = 86_400
JUMPS_S = [3600, -3600, 400 * DAY_S, -400 * DAY_S]


class Clock:
    """The time of day of one process, which a shim moves; see clock_shim.c."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            pytest.skip("needs a C compiler (Debian: apt install gcc)")
        library, self._file = folder / "clock.so", folder / "jump"
        source = Path(__file__).with_name("clock_shim.c")
        command = [compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"]
        subprocess.run([*map(str, command)], check=True)
        self.jump(0)
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_JUMP_FILE": str(self._file)}

    def jump(self, seconds: int) -> None:
        """Sets how far the clock is from the right time."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("l", seconds))


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


@pytest.fixture
def server(clock: Clock, tmp_path: Path) -> Iterator[ServerProcess]:
    with server_process(tmp_path, environment=clock.environment) as running:
        yield running


def test_deadlines_health_and_events_do_not_mind(server: ServerProcess, clock: Clock) -> None:
    with server.client() as client:
        for number, jump_s in enumerate(JUMPS_S):
            clock.jump(jump_s)
            time.sleep(0.2)
            server.check_answers()
            recorded = client.record_events([Event(f"u{number}", "i1", EventType.CLICK)])

            assert recorded.recorded_count == 1
            assert client.check_health() is HealthStatus.SERVING
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
    assert server.defects() == []


def test_the_shim_moves_the_time_of_a_process(clock: Clock) -> None:
    clock.jump(-10 * DAY_S)

    ran = subprocess.run(
        ["python3", "-c", "import time; print(time.time())"],
        env=clock.environment | {"PATH": "/usr/bin:/bin:/usr/local/bin"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert float(ran.stdout) == pytest.approx(time.time() - 10 * DAY_S, abs=60)
