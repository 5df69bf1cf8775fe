"""New versions: bad ones, which must be refused, and good ones, which must answer."""

import asyncio
import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from recserve_chaos.bases import renumber
from recserve_chaos.world import World

from .fault import Fault, promise

_LOOK_S = 30.0
_AT_ONCE = 3
Way = Callable[[Path, Random], str]
"""Spoils a version's folder; returns how."""


def _half_copied(folder: Path, _: Random) -> str:
    (folder / "manifest.json").unlink()
    shutil.rmtree(folder / "variables")
    return "half copied"


def _cut_off(folder: Path, random: Random) -> str:
    path = random.choice([each for each in folder.rglob("*") if each.stat().st_size > 1000])
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    return f"{path.name} cut off"


def _flipped(folder: Path, random: Random) -> str:
    path = folder / random.choice(["saved_model.pb", "items.arrow", "users.arrow"])
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] ^= 1
    path.write_bytes(content)
    return f"one bit of {path.name} flipped"


def _linked(folder: Path, _: Random) -> str:
    path = folder / "items.arrow"
    away = path.rename(folder / "elsewhere.arrow")
    path.symlink_to(away.name)
    return "items.arrow is a link"


def _misnumbered(folder: Path, _: Random) -> str:
    renumber(folder, int(folder.name.removeprefix(".tmp-")) - 1)
    return "manifest of another version"


def _garbled(folder: Path, _: Random) -> str:
    (folder / "manifest.json").write_text('{"format_version": 1, "files": [')
    return "manifest cut off"


def _unlisted(folder: Path, _: Random) -> str:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"] = [each for each in manifest["files"] if each["path"] != "saved_model.pb"]
    path.write_text(json.dumps(manifest))
    return "graph not listed"


_WAYS: tuple[Way, ...] = (
    _half_copied,
    _cut_off,
    _flipped,
    _linked,
    _misnumbered,
    _garbled,
    _unlisted,
)


async def _publish_bad(world: World, random: Random) -> str:
    done = [await _publish_one(world, way, random) for way in random.sample(_WAYS, _AT_ONCE)]
    return f"{', '.join(done)}: all refused by all"


async def _publish_one(world: World, way: Way, random: Random) -> str:
    shelf = world.shelf
    version, before = shelf.take_number(), shelf.newest
    scratch = shelf.path(version).with_name(f".tmp-{version}")
    shutil.copytree(random.choice(shelf.bases).folder, scratch)
    renumber(scratch, version)
    done = way(scratch, random)
    scratch.replace(shelf.path(version))
    try:
        end_s = time.monotonic() + _LOOK_S
        for replica in world.replicas:
            await _wait_until_refused(world, replica, version, end_s)
            problem = await world.wrong_with(replica, before)
            promise(not problem, f"{done}: {problem}")
    finally:
        shutil.rmtree(shelf.path(version))
    return done


async def _wait_until_refused(world: World, replica, version: int, end_s: float) -> None:
    async with world.open_client(replica, patient=True) as client:
        while True:
            found = {each.version: each for each in await client.list_models()}
            told = found.get(version)
            if told is not None and told.state == "refused":
                text = told.state_message
                promise(bool(text) and "\n" not in text, f"the reason is {text!r}, must be a line")
                return
            seen = "does not see it" if told is None else f"has it as {told.state}"
            promise(time.monotonic() < end_s, f"{replica.name} {seen} after {_LOOK_S:.0f} s")


async def _publish_good(world: World, random: Random) -> str:
    del random
    version = world.shelf.publish()
    start_s = time.monotonic()
    problem = await world.wait_until_right()
    promise(not problem, f"version {version} is not answering everywhere: {problem}")
    world.shelf.tidy()
    return f"answering everywhere after {time.monotonic() - start_s:.1f} s"


async def _publish_and_kill(world: World, random: Random) -> str:
    replica = world.pick(random)
    world.shelf.publish()
    await asyncio.sleep(random.uniform(0.5, 4.0))
    replica.signal(signal.SIGKILL)
    replica.wait(10)
    replica.start()
    return f"{replica.name} killed while it loaded"


FAULTS = (
    Fault(
        name="bad-version",
        what="new versions that are half copied, cut off, tampered with, links or misnumbered",
        expected="refused with a line in ModelService, the version before keeps answering",
        inject=_publish_bad,
    ),
    Fault(
        name="new-version",
        what="a good new version while calls come in",
        expected="all replicas answer by it, no call fails, no answer mixes both",
        inject=_publish_good,
    ),
    Fault(
        name="killed-while-loading",
        what="a good new version, and SIGKILL to a server while it loads it",
        expected="the server comes back with the new version",
        inject=_publish_and_kill,
    ),
)
