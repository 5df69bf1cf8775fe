"""make chaos: faults at random times, load through the SDK, and an oracle for every answer.

python tests/chaos/run.py --minutes 15 --seed 1 --faults replica-killed,overload
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from random import Random

from recserve_chaos.building import built
from recserve_chaos.chaos import note_missing, run_chaos
from recserve_chaos.faults import FAULTS
from recserve_chaos.faults.fault import Fault
from recserve_chaos.report import Report, report_on
from recserve_chaos.settings import Settings, settings_of, shared_flags
from recserve_chaos.showing import say, show


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 if everything that must be 0 is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    shared_flags(parser, 15.0, "chaos")
    parser.add_argument("--faults", default="", metavar="A,B", help=f"of {', '.join(FAULTS)}")
    settings = settings_of(parser.parse_args(argv))
    if unknown := [each for each in settings.faults if each not in FAULTS]:
        parser.error(f"unknown faults {', '.join(unknown)}, must be of {', '.join(FAULTS)}")
    faults = [FAULTS[name] for name in settings.faults or FAULTS]
    report = asyncio.run(_run(settings, faults))
    show(report)
    report.write(settings)
    return 0 if report.is_good else 1


async def _run(settings: Settings, faults: Sequence[Fault]) -> Report:
    async with built(settings, say) as world:
        note_missing(world)
        # Not the load's: which fault comes next must not depend on how many calls were made.
        problem = await run_chaos(world, faults, settings.minutes, Random(settings.seed + 1))
        return report_on(world, settings, faults, problem)


if __name__ == "__main__":
    sys.exit(main())
