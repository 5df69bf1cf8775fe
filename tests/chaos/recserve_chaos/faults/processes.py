"""Servers and model processes that are killed, stopped and restarted."""

import asyncio
import signal
from random import Random

import psutil

from recserve_chaos.fleet import Replica
from recserve_chaos.ledger import Allowed
from recserve_chaos.world import World

from .fault import LATE, OUT, Fault, promise

_SUPERVISOR_S = 1.0
_DRAIN_S = 20.0
_KEPT_WAITING = (
    "a stopped server looks like a slow one: what was sent to it waits for its deadline, unless "
    "hedging has budget left; when it wakes it refuses what exceeds 256 calls on the connection, "
    "given up ones included, and so many at once are more than the SDK's retry budget"
)


async def _kill(world: World, random: Random) -> str:
    replica = world.pick(random)
    replica.signal(signal.SIGKILL)
    code = replica.wait(10)
    await asyncio.sleep(_SUPERVISOR_S)
    replica.start()
    return f"{replica.name} ended with {code}"


async def _pause(world: World, random: Random) -> str:
    replica, seconds = world.pick(random), random.uniform(1.0, 12.0)
    replica.signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        replica.signal(signal.SIGCONT)
    return f"{replica.name} stood still for {seconds:.1f} s"


async def _restart(world: World, random: Random) -> str:
    order = random.sample(world.replicas, len(world.replicas))
    codes = []
    for replica in order:
        replica.signal(signal.SIGTERM)
        codes.append(await asyncio.to_thread(replica.wait, _DRAIN_S))
        replica.start()
        await _wait_until_answering(world, replica)
    promise(not any(codes), f"exit codes {codes} instead of 0")
    return f"{len(order)} replicas ended with 0, one after another"


async def _wait_until_answering(world: World, replica: Replica) -> None:
    for _ in range(600):
        if not await world.wrong_with(replica):
            # A client looks for a replica that was gone every two seconds.
            await asyncio.sleep(2.5)
            return
        await asyncio.sleep(0.1)
    promise(False, f"{replica.name} did not come back")


async def _kill_model(world: World, random: Random) -> str:
    replica = world.pick(random)
    model = replica.model()
    model.kill()
    back = await world.wait_until(lambda: _has_another_model(replica, model))
    promise(back, "no other model process was started")
    return f"{replica.name} started another model process"


async def _pause_model(world: World, random: Random) -> str:
    replica = world.pick(random)
    model = replica.model()
    model.suspend()
    try:
        back = await world.wait_until(lambda: _has_another_model(replica, model))
    finally:
        if psutil.pid_exists(model.pid):
            model.resume()
    promise(back, "the watchdog did not replace the model process")
    return f"{replica.name}'s watchdog replaced the model process"


def _has_another_model(replica: Replica, former: psutil.Process) -> bool:
    try:
        return replica.model() != former
    except LookupError:
        return False


FAULTS = (
    Fault(
        name="replica-killed",
        what="SIGKILL to one of three servers, started again after 1 s",
        expected="the SDK asks the other replicas; no event that was acknowledged is lost",
        inject=_kill,
    ),
    Fault(
        name="replica-stopped",
        what="SIGSTOP to one server for 1 to 12 s, then SIGCONT",
        expected="hedged reads are answered by others",
        inject=_pause,
        allowed=Allowed(OUT, OUT),
        why=_KEPT_WAITING,
    ),
    Fault(
        name="rolling-restart",
        what="SIGTERM to one server after another, each started again",
        expected="NOT_SERVING, drain, exit 0; no call fails",
        inject=_restart,
    ),
    Fault(
        name="model-process-killed",
        what="SIGKILL to the model process of one server",
        expected="the server says NOT_SERVING and starts another; the SDK asks other replicas",
        inject=_kill_model,
    ),
    Fault(
        name="model-process-stopped",
        what="SIGSTOP to the model process of one server",
        expected="the watchdog (3 s here) replaces it",
        inject=_pause_model,
        allowed=Allowed(OUT, LATE),
        why=(
            "until the watchdog bites the server still counts as healthy; then what waited is told "
            "to come back in 1 s, for which these calls (3 s) have no time left"
        ),
    ),
)
