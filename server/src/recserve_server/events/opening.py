"""From a setting to a store."""

from pathlib import Path
from typing import Final

from recserve_server.config import EventsConfig
from recserve_server.events.redis_store import RedisStore
from recserve_server.events.sqlite_store import SqliteStore
from recserve_server.events.store import EventStore

_REDIS: Final = ("redis", "rediss", "valkey", "valkeys", "unix")


def store_of(config: EventsConfig) -> EventStore | None:
    """Returns the store that the settings name, not yet open; None if they name none.

    Raises:
        ValueError: the URL is of no kind that is known, or a library is missing.
    """
    if not config.location:
        return None
    scheme, separator, _ = config.location.partition("://")
    if not separator:
        return SqliteStore(Path(config.location).expanduser(), config)
    if scheme in _REDIS:
        return RedisStore(config.location, config)
    raise ValueError(
        f"events is {config.location!r}, must be a path for SQLite or a URL of "
        f"{', '.join(each + '://' for each in _REDIS)}"
    )
