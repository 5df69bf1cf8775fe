"""The wall clock of one replica, hours off."""

import asyncio
from random import Random

from recserve_chaos.clock import set_offset
from recserve_chaos.world import World

from .fault import Fault, promise

_OFFSETS_S = (-86_400, -3600, -60, 60, 3600, 86_400)


async def _step(world: World, random: Random) -> str:
    offset_s, seconds = random.choice(_OFFSETS_S), random.uniform(2.0, 6.0)
    set_offset(world.clock_file, offset_s)
    try:
        await asyncio.sleep(seconds)
        problem = await world.wrong_with(world.replicas[-1])
        promise(not problem, f"with a clock off by {offset_s} s: {problem}")
    finally:
        set_offset(world.clock_file, 0)
    return f"{offset_s:+d} s for {seconds:.0f} s, and back"


FAULTS = (
    Fault(
        name="clock-step",
        what="the wall clock of one server jumps by a minute to a day, forth or back, and returns",
        expected="nothing: deadlines and waits go by the monotonic clock",
        inject=_step,
    ),
)
