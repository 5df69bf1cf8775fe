"""make soak: an hour of steady load with a new version each minute; memory must stay flat.

python tests/chaos/soak.py --minutes 60
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from random import Random

from recserve_chaos.building import built
from recserve_chaos.faults import FAULTS
from recserve_chaos.report import Report, report_on
from recserve_chaos.settings import Settings, settings_of, shared_flags
from recserve_chaos.showing import say, show
from recserve_chaos.soaking import run_soak
from recserve_chaos.traffic import Mix

_SWAP = FAULTS["new-version"]
# The catalogue has 400 items: with more events an hour nobody would have any left to see.
_MIX = Mix(writes_per_s=2.0)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 if nothing grew and everything that must be 0 is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    shared_flags(parser, 60.0, "soak")
    settings = settings_of(parser.parse_args(argv))
    report = asyncio.run(_run(settings))
    show(report)
    report.write(settings)
    return 0 if report.is_good else 1


async def _run(settings: Settings) -> Report:
    async with built(settings, say, _MIX) as world:
        grown, problem = await run_soak(world, _SWAP, settings.minutes, Random(settings.seed + 1))
        report = report_on(world, settings, [_SWAP], problem)
        report.growths += grown
        return report


if __name__ == "__main__":
    sys.exit(main())
