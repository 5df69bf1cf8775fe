"""Where the replicas keep events: one Redis for all, or a file of SQLite each."""

import json
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import psutil
import redis

from .fleet import HOST, free_ports

_PREFIX = "recserve:"


class Store(Protocol):
    """A store, as the harness sees it."""

    is_shared: bool
    """Whether every replica sees what any of them recorded."""

    def start(self) -> None:
        """Starts it, if it is a process."""

    def end(self) -> None:
        """Ends it."""

    def location(self, replica: int) -> str:
        """Returns what --events of a replica is told."""

    def stored(self) -> list[tuple[str, str]]:
        """Returns (user, event id) of every event that is kept, as often as it is."""


class RedisServer:
    """A Redis that has an event on disk before it says so."""

    is_shared = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_ports(1)[0]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        settings = {
            "bind": HOST,
            "port": str(self.port),
            "dir": str(self.folder),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            # Grows, is rewritten, and must not be when the disk is full on purpose.
            "auto-aof-rewrite-percentage": "0",
        }
        flags = [text for name, value in settings.items() for text in (f"--{name}", value)]
        with (self.folder.parent / "redis.log").open("ab") as log:
            # SIGXFSZ stays ignored, as in Python: a full "disk" is to be an error, not a signal.
            self._process = subprocess.Popen(
                ["redis-server", *flags], stdout=log, stderr=log, restore_signals=False
            )

    def signal(self, sent: signal.Signals) -> None:
        """Sends it a signal; to be killed it is waited for."""
        self._process.send_signal(sent)
        if sent is signal.SIGKILL:
            self._process.wait()

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def limit_file_bytes(self, more: int) -> None:
        """Lets no file of it become larger than the largest is now and some bytes more."""
        largest = max(
            (path.stat().st_size for path in self.folder.rglob("*") if path.is_file()), default=0
        )
        _, hard = self.process.rlimit(psutil.RLIMIT_FSIZE)
        self.process.rlimit(psutil.RLIMIT_FSIZE, (largest + more, hard))

    def unlimit_file_bytes(self) -> None:
        """Takes the limit away."""
        if self.is_running:
            _, hard = self.process.rlimit(psutil.RLIMIT_FSIZE)
            self.process.rlimit(psutil.RLIMIT_FSIZE, (hard, hard))

    @property
    def exit_code(self) -> int | None:
        """Of the last process; None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def process(self) -> psutil.Process:
        """The running server."""
        return psutil.Process(self._process.pid)

    def end(self) -> None:
        if self.is_running:
            self._process.kill()
            self._process.wait()

    def location(self, replica: int) -> str:
        del replica
        return f"redis://{HOST}:{self.port}/0"

    def stored(self) -> list[tuple[str, str]]:
        found = []
        with redis.Redis(HOST, self.port, decode_responses=True) as connection:
            for key in connection.scan_iter(f"{_PREFIX}user:*", count=1000):
                user_id = key.removeprefix(f"{_PREFIX}user:")
                events = connection.zrange(key, 0, -1)
                found += [(user_id, json.loads(text)[0]) for text in events]
        return found


class SqliteFiles:
    """A file per replica: what one replica recorded the others do not know."""

    is_shared = False

    def __init__(self, folder: Path, count: int) -> None:
        self._paths = [folder / f"events-{place}.sqlite" for place in range(count)]

    def start(self) -> None:
        pass

    def end(self) -> None:
        pass

    def location(self, replica: int) -> str:
        return str(self._paths[replica])

    def stored(self) -> list[tuple[str, str]]:
        found: dict[tuple[str, str], None] = {}
        for path in self._paths:
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
                found.update(dict.fromkeys(_events(connection)))
        return list(found)


def _events(connection: sqlite3.Connection) -> Sequence[tuple[str, str]]:
    return connection.execute("SELECT user_id, event_id FROM events").fetchall()


def open_store(kind: str, folder: Path, replicas: int) -> RedisServer | SqliteFiles:
    """Makes a store that is not started yet; "auto" is Redis if it is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "redis" or (kind == "auto" and shutil.which("redis-server")):
        return RedisServer(folder)
    return SqliteFiles(folder, replicas)
