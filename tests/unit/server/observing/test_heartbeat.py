import asyncio
import time

from recserve_server.observing.heartbeat import BEAT_S, Heartbeat


async def test_it_beats_while_the_loop_turns() -> None:
    heartbeat = Heartbeat()
    task = asyncio.create_task(heartbeat.run())

    while heartbeat.lag_s.count < 2:
        await asyncio.sleep(0.01)

    task.cancel()
    assert heartbeat.age_s < 60


async def test_it_grows_old_while_the_loop_is_stuck_and_tells_the_lag_afterwards() -> None:
    now_s = [1000.0]
    heartbeat = Heartbeat(clock=lambda: now_s[0])
    task = asyncio.create_task(heartbeat.run())
    await asyncio.sleep(0)

    now_s[0] += 40.0
    assert heartbeat.age_s == 40.0
    while not heartbeat.lag_s.count:
        await asyncio.sleep(0.01)

    task.cancel()
    assert heartbeat.age_s == 0.0
    assert heartbeat.lag_s.total == 40.0 - BEAT_S


def test_a_beat_that_never_came_is_as_old_as_the_server() -> None:
    heartbeat = Heartbeat()
    time.sleep(0.02)

    assert heartbeat.age_s >= 0.02
