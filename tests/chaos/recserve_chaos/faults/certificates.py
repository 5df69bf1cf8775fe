"""Certificates of one replica: changed, expired, garbage."""

import asyncio
import time
from random import Random

from recserve_chaos.certificates import presented
from recserve_chaos.fleet import Replica
from recserve_chaos.world import World
from recserve_client import RecommenderError, UnavailableError

from .fault import Fault, promise

_LOOK_S = 20.0


async def _rotate(world: World, random: Random) -> str:
    replica = world.pick(random)
    number = world.certificates.issue(replica.name)
    start_s = time.monotonic()
    shown = await _wait_until_shown(replica, number)
    promise(shown, f"the new certificate is not shown after {_LOOK_S:.0f} s")
    return f"shown after {time.monotonic() - start_s:.1f} s, no restart"


async def _expire(world: World, random: Random) -> str:
    replica = world.pick(random)
    number = world.certificates.issue(replica.name, valid_s=-3600.0)
    shown = await _wait_until_shown(replica, number, 6.0)
    # With one, everybody who connects anew is refused by their own check; the others answer.
    try:
        async with world.open_client(replica) as client:
            await client.list_models(timeout_s=2.0)
        refused = False
    except RecommenderError as error:
        refused = isinstance(error, UnavailableError) or bool(shown)
    async with world.open_client(*world.replicas, patient=True) as client:
        await client.list_models()
    promise(refused or not shown, "a client took an expired certificate")
    number = world.certificates.issue(replica.name)
    promise(await _wait_until_shown(replica, number), "the certificate after it is not shown")
    return "shown, refused by new clients" if shown else "not taken, the one before stayed"


async def _garble(world: World, random: Random) -> str:
    replica = world.pick(random)
    before = await asyncio.to_thread(presented, replica.port)
    world.certificates.put(replica.name, b"-----BEGIN CERTIFICATE-----\nAAAA\n", b"no key")
    end_s = time.monotonic() + random.uniform(3.0, 6.0)
    while time.monotonic() < end_s:
        shown = await asyncio.to_thread(_try_presented, replica.port)
        promise(shown == before, "garbage in the files changed what new clients see")
        await asyncio.sleep(0.2)
    number = world.certificates.issue(replica.name)
    promise(await _wait_until_shown(replica, number), "the certificate after it is not shown")
    return "the certificate before stayed"


async def _wait_until_shown(replica: Replica, number: int, timeout_s: float = _LOOK_S) -> bool:
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        if await asyncio.to_thread(_try_presented, replica.port) == number:
            return True
        await asyncio.sleep(0.2)
    return False


def _try_presented(port: int) -> int:
    try:
        return presented(port)
    except OSError:
        return 0


FAULTS = (
    Fault(
        name="certificate-rotated",
        what="a new certificate in the files of one server",
        expected="new connections see it without a restart; old ones go on",
        inject=_rotate,
    ),
    Fault(
        name="certificate-expired",
        what="an expired certificate in the files of one server, then a good one",
        expected="not taken; or, if shown, refused by whoever connects anew, and the others answer",
        inject=_expire,
    ),
    Fault(
        name="certificate-garbled",
        what="garbage in both files of one server, then a good certificate",
        expected="the certificate before goes on being shown",
        inject=_garble,
    ),
)
