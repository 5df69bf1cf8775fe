"""Real artifacts in a hurry, a server of them as seen from outside, and callers who check it."""

import contextlib
import json
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from recserve_client import ChannelConfig, RecommenderClient, RecommenderError

sys.path.append(str(Path(__file__).parents[1] / "unit" / "trainer"))  # for golden_world.py

USERS, ITEMS = 30, 120
Serve = Callable[..., AbstractContextManager]
NO_RETRIES = ChannelConfig(max_attempts=1)


@dataclass(frozen=True)
class Shelf:
    """Artifacts to take versions from: odd versions are of one kind, even ones of the other."""

    folders: tuple[Path, Path]
    scores: np.ndarray
    """[users, items] of both, whose items are named otherwise."""

    def put(self, models_dir: Path, version: int) -> Path:
        """Publishes a version in one step, as the trainer does; returns its folder."""
        scratch = models_dir / "films" / f".copy-{version}"
        shutil.copytree(self.folders[version % 2], scratch)
        name_version(scratch, version)
        return scratch.rename(models_dir / "films" / str(version))

    def best(self, version: int, user: int, k: int) -> list[str]:
        """Returns what a version answers to a user, seen items included."""
        rows = np.argsort(-self.scores[user], kind="stable")[:k]
        return [item_name(row, version) for row in rows]


def item_name(row: int, version: int) -> str:
    return f"i{(row + 17 * (version % 2)) % ITEMS}"


def name_version(folder: Path, version: int) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"model_version": str(version)}))


def make_shelf(folder: Path) -> Shelf:
    """Exports both kinds with the trainer's own code."""
    from golden_world import array_artifact

    from recserve_trainer.artifact.export import publish
    from recserve_trainer.tables import ItemTable

    made = array_artifact(USERS, ITEMS)
    folders = []
    for kind in (0, 1):
        ids = [item_name(row, kind) for row in range(ITEMS)]
        manifest = type(made.manifest).FromString(made.manifest.SerializeToString())
        items = ItemTable(ids, [""] * ITEMS)
        folders.append(publish(replace(made, items=items, manifest=manifest), folder / str(kind)))
    vectors = made.model.embeddings
    return Shelf((folders[0], folders[1]), vectors.users @ vectors.items.T)


@dataclass
class Served:
    """A server that looks for versions five times a second, its log and its processes."""

    process: object
    address: str
    log: list[dict] = field(default_factory=list)

    def children(self) -> list[int]:
        """Returns the model processes that are there."""
        threads = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for thread in threads for pid in thread.read_text().split()]

    def resident_mib(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS:")]
        return int(line.split()[1]) / 1024

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def logged(self, message: str) -> list[dict]:
        return [each for each in self.log if each["message"] == message]

    def refused(self) -> list[int]:
        """Returns the versions that were refused, as often as it was said so."""
        return [each["version"] for each in self.logged("refused a model version")]


@contextlib.contextmanager
def served(serve: Serve, models: Path, *flags: object) -> Iterator[Served]:
    given = ("--models", models, "--poll-interval", 0.2, "--log-format", "json", *flags)
    with serve(*given) as program:
        log: list[dict] = []

        def read() -> None:
            for line in program.process.stderr:
                log.append(json.loads(line) if line.startswith("{") else {"message": line})

        reading = threading.Thread(target=read, daemon=True)
        reading.start()
        ready = program.wait_for("serving films")
        yield Served(program.process, ready.rpartition(" ")[2], log)


class Callers:
    """Threads that ask and check until they are told to stop."""

    def __init__(self, address: str, shelf: Shelf, count: int = 3) -> None:
        self.versions: dict[int, int] = {}
        self.failed: list[str] = []
        self.wrong: list[str] = []
        self._client = RecommenderClient(address, timeout_s=30, config=NO_RETRIES)
        self._shelf, self._over = shelf, threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n,)) for n in range(count)]

    def __enter__(self) -> "Callers":
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for each in self._threads:
            each.join()
        self._client.close()

    def _work(self, number: int) -> None:
        user = number
        while not self._over.wait(0.01):
            user = (user + 1) % USERS
            try:
                answer = self._client.recommend(f"u{user}", k=8, include_seen=True)
            except RecommenderError as error:
                self.failed.append(str(error))
                continue
            version = answer.model_version
            self.versions[version] = self.versions.get(version, 0) + 1
            if [item.item_id for item in answer] != self._shelf.best(version, user, 8):
                self.wrong.append(f"u{user} by version {version}")


def wait_until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "it never came true"
        time.sleep(0.05)
