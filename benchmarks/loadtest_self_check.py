"""Shows what the load tester can send by itself: one process of it against a server of no cost."""

import subprocess
import sys
from pathlib import Path

from recserve_client.loadtest.fleet import Fleet
from recserve_client.loadtest.plan import ClosedLoop, Endpoint, OpenLoop, Question, Stage

_PRESSURES: tuple[OpenLoop | ClosedLoop, ...] = (
    *(OpenLoop(rate_per_s=rate) for rate in (5_000, 10_000, 15_000, 20_000, 30_000)),
    ClosedLoop(concurrency=128),
)
_QUESTION = Question("/any.Service/Method", bytes(20))


def main() -> int:
    """Runs open loops of rising rates, then a closed one; returns the exit code."""
    sink = Path(__file__).with_name("sink.py")
    with subprocess.Popen([sys.executable, str(sink)], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            endpoint = Endpoint(host="127.0.0.1", port=int(server.stdout.readline()))
            with Fleet(endpoint, [_QUESTION]) as fleet:
                for pressure in _PRESSURES:
                    _show(fleet, Stage(pressure=pressure, seconds=2, warmup_s=0.5))
        finally:
            server.terminate()
    return 0


def _show(fleet: Fleet, stage: Stage) -> None:
    found = fleet.run(stage)
    share = max(found.client.cpu_shares)
    print(
        f"{found.label:>14}: {found.ok_per_s:8.1f} OK/s, late by {found.client.lag_p99_ms:.2f} ms "
        f"at p99, {share:.0%} of a core, {share / found.ok_per_s * 1e6:.0f} us per call",
        *found.warnings,
        sep="; ",
    )


if __name__ == "__main__":
    sys.exit(main())
