"""Stores of events for tests: a file, and a real Redis where there is one."""

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from recserve_server.config import EventsConfig
from recserve_server.events.event import Event, EventKind
from recserve_server.events.redis_store import RedisStore
from recserve_server.events.sqlite_store import SqliteStore

NAN = float("nan")
CONFIG = EventsConfig(retention_days=0)


def event(
    name: str,
    user: str = "u1",
    item: str = "i1",
    kind: EventKind = EventKind.CLICK,
    rating: float = NAN,
    time_s: float = 1000.0,
) -> Event:
    return Event(name, user, item, kind, rating, time_s)


class RedisServer:
    """A redis-server of our own, on a socket in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            pytest.skip("needs redis-server or valkey-server (Debian: apt install redis-server)")
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._command = [
            *(program, "--port", "0", "--unixsocket", str(self.socket), "--dir", str(folder)),
            *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
        ]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline_s = time.monotonic() + 10
        while not self._answers():
            assert time.monotonic() < deadline_s, "redis-server does not start"
            time.sleep(0.02)

    def _answers(self) -> bool:
        import redis

        try:
            return bool(redis.Redis(unix_socket_path=str(self.socket)).ping())
        except redis.RedisError:
            return False

    def stop(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


def sqlite_store(folder: Path, config: EventsConfig = CONFIG) -> SqliteStore:
    return SqliteStore(folder / "events.sqlite", config)


def redis_store(url: str, config: EventsConfig = CONFIG) -> RedisStore:
    return RedisStore(url, config)
