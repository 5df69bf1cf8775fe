"""Injects faults one after another while calls come in, and waits each time until all is right."""

import asyncio
import time
from collections.abc import Sequence
from random import Random
from typing import Final

from .audit import audit
from .faults import NEED_REDIS, NEED_TLS
from .faults.callers import load
from .faults.fault import BrokenPromise, Fault
from .ledger import Window, told
from .schedule import rounds
from .world import PATIENCE_S, World

_CAPACITY_S: Final = 3.0
_LONGEST_S: Final = 150.0
"""Of an injection; then it counts as broken."""


async def run_chaos(world: World, faults: Sequence[Fault], minutes: float, random: Random) -> str:
    """Runs for some minutes; returns what is wrong in the end besides what the ledger counts."""
    possible = [each for each in faults if each.name not in world.missing]
    world.capacity_per_s = await _capacity(world)
    world.say(f"{world.capacity_per_s:.0f} calls/s answered at most; load begins")
    world.traffic.start()
    await asyncio.sleep(3.0)
    end_s = time.monotonic() + 60 * minutes
    for fault in rounds(possible, random):
        await asyncio.sleep(random.uniform(1.0, 3.0))
        if time.monotonic() >= end_s:
            break
        await inject(world, fault, random)
        world.traffic.check()
    await world.traffic.stop()
    wrong = await world.wait_until_right()
    return wrong or await audit(world)


def note_missing(world: World) -> None:
    """Notes the faults that cannot be injected, and why."""
    if world.certificates is None:
        world.missing.update(dict.fromkeys(NEED_TLS, "plain text on the wire"))
    if not world.store.is_shared:
        world.missing.update(dict.fromkeys(NEED_REDIS, "events are in SQLite"))


async def _capacity(world: World) -> float:
    first = world.replicas[0]
    found = await load(world, first, "--concurrency", "64", seconds=_CAPACITY_S)
    return found["ok_per_s"]


async def inject(world: World, fault: Fault, random: Random) -> None:
    """Injects a fault once and waits until all is right."""
    with world.ledger.window(fault.name, fault.allowed) as window:
        try:
            async with asyncio.timeout(_LONGEST_S):
                window.note = await fault.inject(world, random)
        except BrokenPromise as error:
            window.broken = str(error)
        except TimeoutError:
            window.broken = f"took longer than {_LONGEST_S:.0f} s"
        window.lifted_s = time.monotonic()
        if problem := await world.wait_until_right():
            window.broken = window.broken or f"not right after {PATIENCE_S:.0f} s: {problem}"
        else:
            window.recovered_s = time.monotonic()
    world.say(_line(window))


def _line(window: Window) -> str:
    failed, outside = told(window.failed), told(window.outside)
    recovery = "not recovered" if window.recovery_s is None else f"right {window.recovery_s:.1f} s"
    counts = (
        f"{window.calls} calls, {failed} failed as allowed, {outside} not, {window.wrong} wrong"
    )
    said = f"BROKEN: {window.broken}" if window.broken else window.note
    return f"{window.fault}: {said}; {recovery} after; {counts}"
