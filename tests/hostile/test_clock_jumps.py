"""The time of day jumps under a running server."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from recserve_chaos.clock import ClockFile, compile_shim, set_offset
from server_process import ServerProcess, server_process

from recserve_client import Event, EventType, HealthStatus

pytestmark = pytest.mark.long

DAY_S = 86_400
JUMPS_S = [3600, -3600, 400 * DAY_S, -400 * DAY_S]


@pytest.fixture
def clock(tmp_path: Path) -> ClockFile:
    made, why_not = compile_shim(tmp_path)
    if made is None:
        pytest.skip(why_not)
    return made


@pytest.fixture
def server(clock: ClockFile, tmp_path: Path) -> Iterator[ServerProcess]:
    with server_process(tmp_path, environment=clock.env) as running:
        yield running


def test_deadlines_health_and_events_do_not_mind(server: ServerProcess, clock: ClockFile) -> None:
    with server.client() as client:
        for number, jump_s in enumerate(JUMPS_S):
            set_offset(clock.path, jump_s)
            time.sleep(0.2)
            server.check_answers()
            recorded = client.record_events([Event(f"u{number}", "i1", EventType.CLICK)])

            assert recorded.recorded_count == 1
            assert client.check_health() is HealthStatus.SERVING
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
    assert server.defects() == []


def test_the_shim_moves_the_time_of_a_process(clock: ClockFile) -> None:
    set_offset(clock.path, -10 * DAY_S)

    ran = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time())"],
        env=os.environ | clock.env,
        capture_output=True,
        text=True,
        check=True,
    )

    assert float(ran.stdout) == pytest.approx(time.time() - 10 * DAY_S, abs=60)
