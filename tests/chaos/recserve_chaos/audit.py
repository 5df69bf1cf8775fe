"""Looks for every acknowledged event when all is over."""

import asyncio
from collections import Counter

from .world import World

_PER_CALL = 200


async def audit(world: World) -> str:
    """Counts events that are lost or twice, by the store itself and by sending them again.

    Returns what is wrong besides lost events; nothing if it is right.
    """
    feedback, ledger = world.traffic.feedback, world.ledger
    stored = await asyncio.to_thread(world.store.stored)
    twice = [each for each, count in Counter(stored).items() if count > 1]
    kept = {event_id for _, event_id in stored}
    for event_id, (_, acknowledged_s) in feedback.acknowledged.items():
        if event_id not in kept:
            ledger.lose(acknowledged_s)
    if twice:
        return f"{len(twice)} events are there twice"
    return await _sent_again(world) if world.store.is_shared else ""


async def _sent_again(world: World) -> str:
    events = [event for event, _ in world.traffic.feedback.acknowledged.values()]
    new = 0
    async with world.open_client(*world.replicas, patient=True) as client:
        for start in range(0, len(events), _PER_CALL):
            part = events[start : start + _PER_CALL]
            told = await client.record_events(part, timeout_s=20.0)
            new += told.recorded_count
    return f"{new} events count a second time when sent again" if new else ""
