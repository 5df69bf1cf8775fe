"""The store of events: stopped, killed, without room."""

import asyncio
import signal
from random import Random

from recserve_chaos.ledger import Allowed
from recserve_chaos.world import World

from .fault import OUT, Fault, promise

_ROOM_BYTES = 2000
_WRITES = Allowed(writes=OUT)
_WHY = "RecordEvents says UNAVAILABLE while the store does not answer; the caller sends again"


async def _pause(world: World, random: Random) -> str:
    seconds = random.uniform(1.0, 6.0)
    world.store.signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        world.store.signal(signal.SIGCONT)
    return f"stood still for {seconds:.1f} s"


async def _kill(world: World, random: Random) -> str:
    seconds = random.uniform(0.5, 5.0)
    world.store.signal(signal.SIGKILL)
    await asyncio.sleep(seconds)
    world.store.start()
    return f"gone for {seconds:.1f} s"


async def _fill(world: World, random: Random) -> str:
    # The kernel refuses to let the file grow, which to Redis is the same as a full disk.
    world.store.limit_file_bytes(random.randint(0, _ROOM_BYTES))
    full = await world.wait_until(lambda: not world.store.is_running, timeout_s=20)
    code = world.store.exit_code
    await asyncio.sleep(random.uniform(0.5, 3.0))
    world.store.unlimit_file_bytes()
    if full:
        world.store.start()
    promise(full, "Redis did not notice that its disk is full")
    return f"Redis ended with {code} at the first event that found no room"


FAULTS = (
    Fault(
        name="store-stopped",
        what="SIGSTOP to Redis for 1 to 6 s",
        expected="reads are answered without events and say so",
        inject=_pause,
        allowed=_WRITES,
        why=_WHY,
    ),
    Fault(
        name="store-killed",
        what="SIGKILL to Redis, started again after 0.5 to 5 s",
        expected="the same; every acknowledged event is there afterwards",
        inject=_kill,
        allowed=_WRITES,
        why=_WHY,
    ),
    Fault(
        name="store-disk-full",
        what="no room for Redis' log (RLIMIT_FSIZE), then room and Redis again",
        expected="the same",
        inject=_fill,
        allowed=_WRITES,
        why=_WHY,
    ),
)
