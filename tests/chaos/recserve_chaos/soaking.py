"""Hours of steady load with a hot swap each minute, and a look at what the replicas take."""

import asyncio
import time
from random import Random
from typing import Final

from .audit import audit
from .chaos import inject
from .faults.fault import Fault
from .measuring import Growth, Sample, growths, sample
from .world import World

_SWAP_EVERY_S: Final = 60.0
_SAMPLE_EVERY_S: Final = 2.0


async def run_soak(
    world: World, swap: Fault, minutes: float, random: Random
) -> tuple[list[Growth], str]:
    """Runs for some minutes; returns what grew and what is wrong in the end."""
    world.traffic.start()
    start_s = time.monotonic()
    samples: list[Sample] = []
    while time.monotonic() < start_s + 60 * minutes:
        due_s = time.monotonic() + _SWAP_EVERY_S
        await inject(world, swap, random)
        world.traffic.check()
        samples += await _until(world, due_s, start_s)
    await world.traffic.stop()
    problem = await world.wait_until_right() or await audit(world)
    return growths(samples), problem


async def _until(world: World, due_s: float, start_s: float) -> list[Sample]:
    """Waits, and samples in the last third, when the version before is gone."""
    await asyncio.sleep(max(0.0, due_s - time.monotonic() - _SWAP_EVERY_S / 3))
    found = []
    while time.monotonic() < due_s:
        now_s = time.monotonic() - start_s
        found += filter(None, (sample(each, now_s) for each in world.replicas))
        await asyncio.sleep(_SAMPLE_EVERY_S)
    return found
