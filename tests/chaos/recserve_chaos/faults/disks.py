"""The disk that models lie on, full."""

import asyncio
import errno
import shutil
from random import Random

from recserve_chaos.bases import NAME, renumber
from recserve_chaos.world import World

from .fault import Fault, promise

_CHUNK = bytes(64 << 10)


async def _fill(world: World, random: Random) -> str:
    shelf = world.shelf
    filler, version = shelf.models_dir / NAME / "filler", shelf.take_number()
    before = shelf.newest
    base = random.choice(shelf.bases)
    room = random.randint(0, base.size_bytes // 2)
    try:
        _take_all_but(filler, shelf.models_dir, room)
        failed = await asyncio.to_thread(_copy, base.folder, shelf.path(version))
        promise(failed, "a copy to a full disk did not fail")
        # Long enough for each replica to look.
        await asyncio.sleep(random.uniform(2.0, 5.0))
        for replica in world.replicas:
            problem = await world.wrong_with(replica, before)
            promise(not problem, f"with a full disk: {problem}")
    finally:
        filler.unlink(missing_ok=True)
        shutil.rmtree(shelf.path(version), ignore_errors=True)
    return f"a copy stopped after {room >> 10} KiB, not served"


def _take_all_but(filler, models_dir, room: int) -> None:
    with filler.open("wb", buffering=0) as file:
        while shutil.disk_usage(models_dir).free > room + len(_CHUNK):
            file.write(_CHUNK)


def _copy(source, target) -> bool:
    """Copies a version in place, as cp does; returns whether the disk was full."""
    try:
        shutil.copytree(source, target)
        renumber(target, int(target.name))
    except (OSError, shutil.Error) as error:
        return getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error)
    return False


FAULTS = (
    Fault(
        name="models-disk-full",
        what="no room on the disk of the models dir (a tmpfs) while a version is copied to it",
        expected="the half version is not served, the one before keeps answering",
        inject=_fill,
    ),
)
