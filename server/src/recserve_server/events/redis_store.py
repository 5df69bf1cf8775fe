"""Events in Redis or Valkey, for any number of servers."""

import json
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from recserve_server.config import EventsConfig
from recserve_server.errors import StoreUnavailable
from recserve_server.events.event import Event, EventKind, UserEvents

if TYPE_CHECKING:
    pass

_PREFIX: Final = "recserve:"
_S_PER_DAY: Final = 86_400
# One script is one step to all other clients: all events are recorded, or none is.
_APPEND: Final = """
local most, keep_s, count = tonumber(ARGV[1]), tonumber(ARGV[2]), 0
for place = 1, #KEYS, 2 do
  local event, user = KEYS[place], KEYS[place + 1]
  local first = 2 + place
  local new
  if keep_s > 0 then
    new = redis.call('SET', event, '', 'NX', 'EX', keep_s)
  else
    new = redis.call('SET', event, '', 'NX')
  end
  if new then
    count = count + 1
    redis.call('ZADD', user, ARGV[first], ARGV[first + 1])
    redis.call('ZREMRANGEBYRANK', user, 0, -most - 1)
    if keep_s > 0 then redis.call('EXPIRE', user, keep_s) end
  end
end
return count
"""


class RedisStore:
    """An `EventStore` in Redis: a sorted set of events per user, a key per event id.

    How safe an accepted event is, the server's `appendfsync` decides: `always` makes it as safe as
    the embedded store, the usual `everysec` may lose a second when the machine ends. Redis Cluster
    is not supported: one call's keys lie in several slots.
    """

    def __init__(
        self, url: str, config: EventsConfig, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Takes a URL as redis-py does (redis://, rediss://, unix://), and a clock of Unix time.

        Raises:
            ValueError: the URL is none, or the library is not installed.
        """
        try:
            from redis.asyncio import Redis
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
        except ImportError as error:
            raise ValueError(
                "events in Redis need redis-py: pip install 'recserve-server[redis]'"
            ) from error
        self._config, self._clock = config, clock
        timeout_s = config.write_timeout_ms / 1000
        self._redis: Redis = Redis.from_url(
            url.replace("valkey://", "redis://", 1).replace("valkeys://", "rediss://", 1),
            decode_responses=True,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            # Whoever asks has a deadline of its own.
            retry=Retry(NoBackoff(), 0),
        )
        self._append = self._redis.register_script(_APPEND)

    async def open(self) -> None:
        """Does nothing: it connects when first asked, so that a server starts without it."""

    async def append(self, events: Sequence[Event]) -> int:
        """Runs one script for all events; see `EventStore`."""
        keys: list[str] = []
        arguments: list[str | int | float] = [self._config.max_per_user, self._keep_s]
        for each in events:
            keys += (f"{_PREFIX}event:{each.event_id}", f"{_PREFIX}user:{each.user_id}")
            arguments += (each.time_s, _encode(each))
        try:
            return int(await self._append(keys=keys, args=arguments))
        except _errors() as error:
            raise StoreUnavailable(f"events cannot be written: {error}") from error

    def at_hand(self, user_id: str) -> UserEvents | None:
        """Returns None: other servers write too."""
        del user_id
        return None

    async def recent(self, user_id: str) -> UserEvents:
        """Reads a user's newest events; see `EventStore`."""
        key, newest = f"{_PREFIX}user:{user_id}", self._config.max_per_user - 1
        try:
            found = await cast(Any, self._redis).zrevrange(key, 0, newest, withscores=True)
        except _errors() as error:
            raise StoreUnavailable(f"events cannot be read: {error}") from error
        oldest_s = self._clock() - self._keep_s if self._keep_s else 0.0
        events = (_decode(user_id, text, time_s) for text, time_s in reversed(found))
        return UserEvents.of(each for each in events if each.time_s >= oldest_s)

    async def forget(self, user_id: str) -> int:
        """Deletes a user's events; that their ids were used is remembered. See `EventStore`."""
        key = f"{_PREFIX}user:{user_id}"
        try:
            count = int(await cast(Any, self._redis).zcard(key))
            await self._redis.delete(key)
        except _errors() as error:
            raise StoreUnavailable(f"events cannot be deleted: {error}") from error
        return count

    async def close(self) -> None:
        """Closes the connections."""
        await self._redis.aclose()

    @property
    def _keep_s(self) -> int:
        return round(self._config.retention_days * _S_PER_DAY)


def _errors() -> tuple[type[Exception], ...]:
    from redis.exceptions import RedisError

    return (RedisError, OSError)


def _encode(event: Event) -> str:
    rating = event.rating if event.kind is EventKind.RATING else None
    # The id keeps equal events apart, which a sorted set would take for one.
    return json.dumps([event.event_id, event.item_id, int(event.kind), rating])


def _decode(user_id: str, text: str, time_s: float) -> Event:
    event_id, item_id, kind, rating = json.loads(text)
    return Event(
        event_id,
        user_id,
        item_id,
        EventKind(kind),
        float("nan") if rating is None else rating,
        float(time_s),
    )
