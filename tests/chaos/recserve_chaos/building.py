"""Builds the world: trains, starts, and takes all of it down again."""

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from .bases import NAME, train, work_out
from .certificates import Certificates
from .clock import compile_shim
from .feedback import Feedback
from .fleet import Replica, free_ports
from .ledger import Ledger
from .oracle import Oracle
from .questions import Names, draw_questions, draw_told
from .settings import Settings
from .shelf import Shelf, unmount
from .stores import RedisServer, SqliteFiles, open_store
from .traffic import Mix, Traffic, open_client
from .truth import Truth
from .world import World

REPLICAS = 3
WATCHDOG_S = 3.0
_SEEDS = (11, 12)
_DISK_BYTES = 64 << 20
_FLAGS = (
    *("--name", NAME, "--admin-address", "", "--poll-interval", "1", "--log-format", "json"),
    # As an orchestrator would have it: clients hear NOT_SERVING before calls are refused.
    *("--drain-delay", "1", "--grace", "5", "--watchdog", WATCHDOG_S),
    # Two cores for all of it: Redis is near, but not always awake.
    *("--events-read-timeout-ms", "50", "--events-max-per-user", "1000"),
)


@asynccontextmanager
async def built(
    settings: Settings, say: Callable[[str], None], mix: Mix | None = None
) -> AsyncIterator[World]:
    """Yields a world that is up and all right; afterwards nothing of it runs any more."""
    run = settings.work / "run"
    unmount(run / "models")  # of a run that was killed
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    say("training two models" if not (settings.work / "trained").exists() else "reading models")
    world = _world(settings, run, say, mix or Mix())
    try:
        await _start(world)
        yield world
    finally:
        await world.traffic.client.close()
        for each in world.replicas:
            each.end()
        world.store.end()
        unmount(world.shelf.models_dir)


def _world(settings: Settings, run: Path, say: Callable[[str], None], mix: Mix) -> World:
    """Makes everything, started nothing yet but the training."""
    random = Random(settings.seed)
    oracle, questions, names, shelf = _models(settings, run, random)
    store = open_store(settings.store, run / "store", REPLICAS)
    certificates = Certificates(run / "certificates") if settings.secured else None
    replicas = _replicas(run, shelf, store, certificates)
    missing: dict[str, str] = {}
    if why := shelf.mount(_DISK_BYTES):
        missing["models-disk-full"] = f"no disk can be mounted here: {why}"
    clock, why = compile_shim(run)
    if clock is None:
        missing["clock-step"] = why
    else:
        replicas[-1].env = clock.env
    ledger = Ledger()
    roots = None if certificates is None else certificates.roots
    client = open_client([each.address for each in replicas], roots)
    feedback = Feedback(names, store.is_shared)
    traffic = Traffic(client, oracle, questions, feedback, ledger, mix, random)
    world = World(run, replicas, store, shelf, traffic, ledger, certificates, say)
    world.missing, world.clock_file = missing, None if clock is None else clock.path
    return world


def _models(settings: Settings, run: Path, random: Random):
    folders = train(settings.work / "trained", _SEEDS)
    names = Names.of(folders[0])
    told = draw_told(names, random)
    bases = [work_out(each, told, run / "scores" / each.name) for each in folders]
    oracle = Oracle([Truth(each, told) for each in bases])
    return oracle, draw_questions(names, told, random), names, Shelf(run / "models", bases, oracle)


def _replicas(
    run: Path,
    shelf: Shelf,
    store: RedisServer | SqliteFiles,
    certificates: Certificates | None,
) -> list[Replica]:
    replicas = []
    for place, port in enumerate(free_ports(REPLICAS)):
        name = f"replica-{place + 1}"
        flags = [*map(str, _FLAGS), "--models", str(shelf.models_dir)]
        flags += ["--events", store.location(place), "--admin-socket", str(run / f"{name}.socket")]
        if certificates is not None:
            certificates.issue(name)
            flags += certificates.flags(name)
        replicas.append(Replica(name, port, flags, run / f"{name}.log"))
    return replicas


async def _start(world: World) -> None:
    world.store.start()
    world.shelf.publish()
    world.say(f"starting {len(world.replicas)} replicas")
    for each in world.replicas:
        each.start()
    if problem := await world.wait_until_right(180):
        raise RuntimeError(f"the replicas do not start: {problem}")
