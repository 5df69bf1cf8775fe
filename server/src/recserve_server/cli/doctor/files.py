"""Files and stores that the settings name."""

import asyncio
import datetime
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from recserve_server.cli.doctor.finding import Finding
from recserve_server.config import AccessConfig, EventsConfig, ServerConfig, TlsConfig
from recserve_server.errors import StoreUnavailable
from recserve_server.events.opening import store_of
from recserve_server.events.sqlite_store import SqliteStore
from recserve_server.events.store import EventStore
from recserve_server.models.labels import read_labels
from recserve_server.security.access import AccessControl
from recserve_server.security.tls import ServerTls

_SOON_S: Final = 14 * 86_400
_STORE_TIMEOUT_S: Final = 5.0


def look_at_files(config: ServerConfig) -> Iterator[Finding]:
    """Reads certificates, callers and labels, asks the store, and looks for room for logs."""
    if config.tls.certificate is not None:
        yield from _look_at_tls(config.tls)
    if config.access.callers_file is not None:
        yield from _look_at_callers(config.access)
    if config.versions.labels_file is not None:
        yield _look_at_labels(config.versions.labels_file)
    if config.events.location:
        yield _look_at_events(config.events)
    if config.observing.request_log is not None:
        yield _look_at_place("request log", config.observing.request_log)
    if config.admin_socket is not None:
        yield _look_at_place("admin socket", config.admin_socket)


def _look_at_tls(config: TlsConfig) -> Iterator[Finding]:
    try:
        expiry_s = ServerTls(config).not_after
    except ValueError as error:
        yield Finding.fail("certificate", str(error), "--tls-cert and --tls-key name PEM files")
        return
    until = f"valid until {datetime.datetime.fromtimestamp(expiry_s, datetime.UTC):%Y-%m-%d %H:%M}"
    if expiry_s < time.time():
        yield Finding.fail("certificate", f"was {until}", "clients refuse it: renew it")
    elif expiry_s < time.time() + _SOON_S:
        yield Finding.warn("certificate", until, "renew it; no restart is needed")
    else:
        yield Finding.ok("certificate", until)
    if config.key is not None:
        yield from _look_at_secret("certificate's key", config.key)


def _look_at_callers(config: AccessConfig) -> Iterator[Finding]:
    path = config.callers_file
    assert path is not None
    try:
        AccessControl(config)
    except ValueError as error:
        yield Finding.fail("callers", str(error), "docs/security.md has an example")
        return
    yield Finding.ok("callers", f"{path} can be used")
    yield from _look_at_secret("callers", path)


def _look_at_secret(what: str, path: Path) -> Iterator[Finding]:
    if path.stat().st_mode & stat.S_IROTH:
        seen = f"every user of this machine can read {path}"
        yield Finding.warn(what, seen, f"chmod o-r {path}")


def _look_at_labels(path: Path) -> Finding:
    try:
        labels = read_labels(path)
    except ValueError as error:
        return Finding.fail("labels", str(error), "mend it, or delete it to begin anew")
    place = _look_at_place("labels", path)
    return Finding.ok("labels", f"{path} has {len(labels)} models") if labels else place


def _look_at_place(what: str, path: Path) -> Finding:
    """Looks whether a file could be made or written."""
    target = path if path.exists() and not path.is_socket() else path.parent
    if not path.parent.is_dir():
        return Finding.fail(what, f"{path.parent} is no folder", "make it, or name another")
    if not os.access(target, os.W_OK):
        return Finding.fail(what, f"{target} cannot be written", "let the server's user write it")
    return Finding.ok(what, f"{path} can be written")


def _look_at_events(config: EventsConfig) -> Finding:
    try:
        store = store_of(config)
    except ValueError as error:
        return Finding.fail("events", str(error), "--events names a file or a URL")
    assert store is not None
    if isinstance(store, SqliteStore):
        return _look_at_sqlite(Path(config.location).expanduser())
    try:
        asyncio.run(_ask(store))
    except (StoreUnavailable, ValueError, TimeoutError) as error:
        advice = "is it running? a server would start and answer without events"
        return Finding.warn("events", f"the store does not answer: {error}", advice)
    return Finding.ok("events", "the store answers")


async def _ask(store: EventStore) -> None:
    await store.open()
    try:
        async with asyncio.timeout(_STORE_TIMEOUT_S):
            await store.recent("recserve-serve doctor")
    finally:
        await store.close()


def _look_at_sqlite(path: Path) -> Finding:
    place = _look_at_place("events", path)
    if not path.exists() or place.advice:
        return place
    try:
        # Reading only, so that it may be in use by a server.
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        return Finding.fail("events", f"{path}: {error}", "restore it, or name another file")
    return place
