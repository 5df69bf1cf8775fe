"""Events in a file of SQLite, for one server; https://sqlite.org/wal.html."""

import asyncio
import contextlib
import fcntl
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Final

from recserve_server.config import EventsConfig
from recserve_server.errors import StoreUnavailable
from recserve_server.events.event import NO_EVENTS, Event, EventKind, UserEvents

_SCHEMA_VERSION: Final = 1
_CREATE: Final = """
CREATE TABLE events (
  event_id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  item_id TEXT NOT NULL,
  kind INTEGER NOT NULL,
  rating REAL,
  time_s REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX events_by_user ON events (user_id, time_s);
CREATE INDEX events_by_time ON events (time_s);
"""
_INSERT: Final = "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?)"
# Of the same second, the id decides: any order will do, as long as it is one.
_RECENT: Final = """
SELECT event_id, user_id, item_id, kind, rating, time_s FROM events
WHERE user_id = ? AND time_s >= ? ORDER BY time_s DESC, event_id DESC LIMIT ?
"""
_S_PER_DAY: Final = 86_400
_PURGE_INTERVAL_S: Final = 600.0
_MOST_KEPT: Final = 20_000


class SqliteStore:
    """An `EventStore` in one file, for one process at a time.

    A commit is on disk when it returns (WAL, synchronous = FULL), so that neither the end of the
    process nor that of the machine takes an accepted event. Calls that arrive during a commit share
    the next one. Readers never wait for it.
    """

    def __init__(
        self, path: Path, config: EventsConfig, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Takes the file, which is made if there is none, and a clock of Unix time."""
        self._path, self._config, self._clock = path, config, clock
        self._waiting: SimpleQueue[_Job | None] = SimpleQueue()
        self._newest = _Newest()
        self._lock: IO[bytes] | None = None
        self._writer: threading.Thread | None = None
        self._readers: ThreadPoolExecutor | None = None
        self._reading: sqlite3.Connection | None = None
        self._purged_s = 0.0

    async def open(self) -> None:
        """Opens the file; see `EventStore`."""
        await asyncio.to_thread(self._open)

    async def append(self, events: Sequence[Event]) -> int:
        """Commits events together with those of other callers; see `EventStore`."""
        users = {each.user_id for each in events}
        return await self._write(lambda connection: _insert(connection, events), users)

    def at_hand(self, user_id: str) -> UserEvents | None:
        """Knows who has no events, and what was read lately; see `EventStore`."""
        return self._newest.get(user_id)

    async def recent(self, user_id: str) -> UserEvents:
        """Reads a user's newest events; see `EventStore`."""
        if self._readers is None:
            raise StoreUnavailable("the store of events is closed")
        loop, changes = asyncio.get_running_loop(), self._newest.changes(user_id)
        events = await loop.run_in_executor(self._readers, self._read, user_id)
        self._newest.keep(user_id, events, changes)
        return events

    async def forget(self, user_id: str) -> int:
        """Deletes a user's events; see `EventStore`."""

        def delete(connection: sqlite3.Connection) -> int:
            return connection.execute("DELETE FROM events WHERE user_id = ?", (user_id,)).rowcount

        return await self._write(delete, {user_id})

    async def close(self) -> None:
        """Commits what waits, then closes the file."""
        if self._writer is not None:
            self._waiting.put(None)
            await asyncio.to_thread(self._writer.join)
            self._writer = None
        if self._readers is not None:
            await asyncio.to_thread(self._readers.shutdown)
            self._readers = None
        if self._reading is not None:
            self._reading.close()
            self._reading = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _open(self) -> None:
        with contextlib.ExitStack() as undo:
            try:
                if self._path.is_dir():
                    raise ValueError(f"{self._path} cannot hold events: it is a folder")
                self._path.parent.mkdir(parents=True, exist_ok=True)
                lock = self._path.with_name(self._path.name + ".lock").open("wb")
                undo.callback(lock.close)
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                writing = self._connect()
                undo.callback(writing.close)
                _prepare(writing)
                self._newest.changed(user for (user,) in writing.execute(_USERS))
                self._reading = self._connect()
            except BlockingIOError as error:
                raise ValueError(f"{self._path} is in use by another server") from error
            except (OSError, sqlite3.Error) as error:
                raise ValueError(f"{self._path} cannot hold events: {error}") from error
            undo.pop_all()
        self._lock = lock
        # One: SQLite would have several wait for each other's locks inside the library anyway.
        self._readers = ThreadPoolExecutor(1, "events-read")
        self._writer = threading.Thread(
            target=self._commit_all, args=(writing,), name="events-write", daemon=True
        )
        self._writer.start()

    def _connect(self) -> sqlite3.Connection:
        # Each connection stays with one thread at a time; none of them is the one that opens it.
        return sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)

    async def _write(self, work: "_Work", users: Set[str]) -> int:
        if self._writer is None:
            raise StoreUnavailable("the store of events is closed")
        done: Future[int] = Future()
        # Before the commit: whoever reads meanwhile must not take what it finds for the newest.
        self._newest.changed(users)
        self._waiting.put((work, done, users))
        # A caller that leaves does not take others' transaction along.
        return await asyncio.shield(asyncio.wrap_future(done))

    def _commit_all(self, connection: sqlite3.Connection) -> None:
        with contextlib.closing(connection):
            is_open = True
            while is_open:
                batch = [self._waiting.get()]
                with contextlib.suppress(Empty):
                    while True:
                        batch.append(self._waiting.get_nowait())
                is_open = None not in batch
                self._commit(connection, [each for each in batch if each is not None])

    def _commit(self, connection: sqlite3.Connection, batch: "Sequence[_Job]") -> None:
        if not batch:
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            results = [work(connection) for work, *_ in batch]
            self._purge(connection)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            for _, done, _ in batch:
                done.set_exception(StoreUnavailable(f"events cannot be written: {error}"))
            return
        for (_, done, users), result in zip(batch, results, strict=True):
            # And after it, before it is told.
            self._newest.changed(users)
            done.set_result(result)

    def _purge(self, connection: sqlite3.Connection) -> None:
        now_s = self._clock()
        if self._config.retention_days and now_s - self._purged_s >= _PURGE_INTERVAL_S:
            self._purged_s = now_s
            connection.execute("DELETE FROM events WHERE time_s < ?", (self._oldest_s(),))
            self._newest.drop()

    def _oldest_s(self) -> float:
        days = self._config.retention_days
        return self._clock() - days * _S_PER_DAY if days else 0.0

    def _read(self, user_id: str) -> UserEvents:
        assert self._reading is not None  # as long as there are readers
        most = self._config.max_per_user
        try:
            rows = self._reading.execute(_RECENT, (user_id, self._oldest_s(), most)).fetchall()
        except sqlite3.Error as error:
            raise StoreUnavailable(f"events cannot be read: {error}") from error
        return UserEvents.of(_event(row) for row in reversed(rows))


class _Newest:
    """Who has events, and the newest of those asked for last; used by two threads.

    What was read is kept only if nothing changed since before it was read.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes: dict[str, int] = {}
        self._kept: OrderedDict[str, UserEvents] = OrderedDict()

    def get(self, user_id: str) -> UserEvents | None:
        if user_id not in self._changes:
            return NO_EVENTS
        return self._kept.get(user_id)

    def changes(self, user_id: str) -> int:
        return self._changes.get(user_id, 0)

    def changed(self, user_ids: Iterable[str]) -> None:
        with self._lock:
            for user_id in user_ids:
                self._changes[user_id] = self._changes.get(user_id, 0) + 1
                self._kept.pop(user_id, None)

    def keep(self, user_id: str, events: UserEvents, changes: int) -> None:
        with self._lock:
            if self._changes.get(user_id, 0) == changes:
                self._kept[user_id] = events
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)

    def drop(self) -> None:
        with self._lock:
            self._kept.clear()


_Work = Callable[[sqlite3.Connection], int]
_Job = tuple[_Work, "Future[int]", Set[str]]
_USERS: Final = "SELECT DISTINCT user_id FROM events"


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if version == 0 and tables == 0:
        connection.executescript(
            f"BEGIN; {_CREATE} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;"
        )
    elif version != _SCHEMA_VERSION:
        raise sqlite3.DatabaseError(
            f"its schema has version {version}, this server knows {_SCHEMA_VERSION}"
        )


def _insert(connection: sqlite3.Connection, events: Sequence[Event]) -> int:
    count = 0
    for each in events:
        rating = None if each.kind is not EventKind.RATING else each.rating
        row = (each.event_id, each.user_id, each.item_id, int(each.kind), rating, each.time_s)
        count += connection.execute(_INSERT, row).rowcount
    return count


def _event(row: tuple[str, str, str, int, float | None, float]) -> Event:
    event_id, user_id, item_id, kind, rating, time_s = row
    rated = float("nan") if rating is None else rating
    return Event(event_id, user_id, item_id, EventKind(kind), rated, time_s)
