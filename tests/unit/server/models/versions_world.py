"""Versions whose answers tell them apart, and what opens them: held, crashed and counted."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from recserve.artifact.v1 import manifest_pb2
from recserve.v1 import recommendation_service_pb2 as pb
from recserve_server.config import ServerConfig
from recserve_server.matrix_model import MatrixModel, open_matrix, write_manifest
from recserve_server.models.labels import Labels
from recserve_server.models.store import ModelStore
from recserve_server.models.version import ModelVersion, State
from recserve_server.query import Query
from recserve_server.testing import ModelThread, open_with

USERS, ITEMS = 4, 30
NOT_A_NUMBER = MatrixModel(np.full((USERS, ITEMS), np.nan, np.float32))


def scores_of(version: int) -> np.ndarray:
    """Returns the scores of a version: no two versions up to 23 rank alike for any user."""
    users, items = np.mgrid[:USERS, :ITEMS]
    return ((items * 7 + users * 3 + version * 11) % 31).astype(np.float32)


def best(version: int, user: int, k: int) -> list[str]:
    """Returns what a version answers."""
    return [f"i{row}" for row in np.argsort(-scores_of(version)[user], kind="stable")[:k]]


def publish(models_dir: Path, *versions: int, name: str = "films") -> Path:
    """Publishes good versions; returns the folder of the last."""
    for version in versions:
        folder = MatrixModel(scores_of(version)).publish(models_dir, name, version)
    return folder


def hash_again(folder: Path) -> None:
    """Writes the manifest anew, for files that were changed on purpose."""
    write_manifest(
        folder,
        manifest_pb2.Model(
            kind="matrix", embedding_dimension=ITEMS, user_count=USERS, item_count=ITEMS
        ),
    )


def write_golden(folder: Path, as_version: int, overlap: float = 1.0, k: int = 3) -> None:
    """Gives a version golden queries that expect what `as_version` answers."""
    queries = [
        {"user_id": f"u{user}", "k": k, "include_seen": True, "item_ids": best(as_version, user, k)}
        for user in range(USERS)
    ]
    golden = {"overlap": overlap, "queries": queries}
    (folder / "golden.json").write_text(json.dumps(golden))
    hash_again(folder)


@dataclass
class Runner:
    """What was opened of a version."""

    version: int
    thread: ModelThread
    closed: asyncio.Event

    def crash(self) -> None:
        """Ends it, as a process ends that was killed."""
        self.closed.set()

    @property
    def is_closed(self) -> bool:
        return self.closed.is_set()


@dataclass
class Openings:
    """Opens NumPy versions as a server does, held at a gate if there is one for the version."""

    gates: dict[int, asyncio.Event] = field(default_factory=dict)
    failures: dict[int, Exception] = field(default_factory=dict)
    """By version, what opening it raises."""
    runners: list[Runner] = field(default_factory=list)
    started: list[int] = field(default_factory=list)
    most_open: int = 0
    """Largest number of runners that were there at a time, the one being opened included."""

    async def __call__(
        self, config: ServerConfig, folder: Path, manifest: manifest_pb2.Manifest, beside: bool
    ) -> ModelThread:
        version = int(folder.name)
        self.started.append(version)
        self.most_open = max(self.most_open, 1 + len(self.open()))
        if version in self.gates:
            await self.gates[version].wait()
        if version in self.failures:
            raise self.failures[version]
        thread = await open_with(open_matrix)(config, folder, manifest, beside)
        self.runners.append(Runner(version, thread, thread._closed))
        return thread

    def hold(self, version: int) -> asyncio.Event:
        """Has openings of a version wait until the event is set."""
        self.gates[version] = asyncio.Event()
        return self.gates[version]

    def open(self) -> list[int]:
        """Returns the versions that are in memory, oldest opening first."""
        return [each.version for each in self.runners if not each.is_closed]

    def runner(self, version: int) -> Runner:
        """Returns what was opened last of a version."""
        return next(each for each in reversed(self.runners) if each.version == version)


async def answers(
    store: ModelStore, user: int = 0, *, version: int = 0, label: str = "", name: str = ""
) -> int:
    """Asks as a call does, checks every item, and returns the version that answered."""
    with store.lineup(name).route(version, label, f"u{user}") as live:
        found = pb.RecommendResponse.FromString(await live.batcher.submit(Query(f"u{user}", 5)))
    assert [item.item_id for item in found.items] == best(found.model_version, user, 5)
    return found.model_version


async def label(store: ModelStore, labels: Labels, name: str = "films") -> None:
    """Gives a model's labels to versions."""
    await store.set_labels(name, lambda _: labels)


def stable(store: ModelStore, name: str = "") -> int:
    """Returns the version that answers by default, 0 for none."""
    live = store.lineup(name).stable
    return live.version.number if live else 0


def states(store: ModelStore) -> dict[int, State]:
    return {each.number: each.state for each in store.versions()}


def refused(store: ModelStore, version: int = 2) -> ModelVersion:
    """Returns a version that must have been refused."""
    found = store.version("films", version)
    assert found.state is State.REFUSED, found
    return found


async def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Lets the event loop turn until a condition holds."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "it never came true"
        await asyncio.sleep(0.005)


async def look(store: ModelStore, times: int = 1) -> None:
    for _ in range(times):
        await store.refresh()
