"""Bearer tokens that are renewed before they run out."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeAlias

from recserve_client._errors import DeadlineExceededError, UnauthenticatedError

from .stopping import Stop

_RENEW_BEFORE_S: Final = 30.0
"""A token this close to its end is renewed; one of a shorter life at four fifths of it."""
_THREAD: Final = "recserve-token"


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token and how long it is good."""

    value: str = field(repr=False)
    """What is sent."""
    expires_at: datetime | None = None
    """When it runs out, with a time zone; None means that nobody knows, and that it is renewed when
    the server refuses it."""

    def __post_init__(self) -> None:
        """Raises ValueError if it cannot be sent."""
        if not self.value or not self.value.isascii() or self.value.split() != [self.value]:
            raise ValueError("a bearer token must be printable ASCII without spaces, and not empty")
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise ValueError(f"expires_at is {self.expires_at!r}, must have a time zone")


TokenSource: TypeAlias = str | BearerToken | Callable[[], BearerToken]
"""A token, or what fetches one.

It is called when the first is needed, before one runs out and after the server refused one; never
twice at a time. It may take its time: it runs in a thread of its own, in which no `TimeBudget`
holds. Calls wait for it only if there is no token that is still good, and no longer than their
deadline; then they raise what it raised, as UnauthenticatedError.
"""


class _Kept(NamedTuple):
    """A token, and when it is renewed and ends, in seconds of the clock."""

    value: str
    renew_at_s: float = math.inf
    ends_at_s: float = math.inf


class Fetching:
    """A token that is on its way."""

    def __init__(self) -> None:
        self.ended = Stop()
        """Tells when it is there, or will not come."""
        self._outcome: str | BaseException = ""

    def end(self, outcome: str | BaseException) -> None:
        """Keeps the token, or what went wrong, and tells whoever waits."""
        self._outcome = outcome
        self.ended.set()

    def token(self) -> str:
        """Returns the token.

        Raises:
            UnauthenticatedError: there is none to be had.
            DeadlineExceededError: it has not come yet.
        """
        if not self.ended.is_set:
            raise DeadlineExceededError("no bearer token before the deadline")
        outcome = self._outcome
        if isinstance(outcome, BaseException):
            raise UnauthenticatedError(f"no bearer token could be fetched: {outcome}") from outcome
        return outcome


class TokenCache:
    """Keeps the token until it must be renewed; may be shared by threads."""

    def __init__(self, source: TokenSource, *, clock: Callable[[], float] = time.time) -> None:
        """Checks a fixed token at once.

        Raises:
            ValueError: a fixed token cannot be sent.
        """
        self._clock = clock
        self._lock = threading.Lock()
        self._source: Callable[[], BearerToken] | None = None
        self._kept: _Kept | None = None
        self._fetching: Fetching | None = None
        if callable(source):
            self._source = source
        else:
            token = BearerToken(source) if isinstance(source, str) else source
            self._kept = _Kept(token.value)

    def current(self) -> str | None:
        """Returns the token to send; None if one must be fetched first.

        One that will run out soon is renewed meanwhile.
        """
        kept, now_s = self._kept, self._clock()
        if kept is None or now_s >= kept.ends_at_s:
            return None
        if now_s >= kept.renew_at_s:
            self.fetch()
        return kept.value

    def fetch(self) -> Fetching:
        """Begins to fetch a token, unless that is under way."""
        with self._lock:
            if self._fetching is not None:
                return self._fetching
            fetching = Fetching()
            kept = self._kept
            if kept is not None and self._clock() < kept.renew_at_s:
                fetching.end(kept.value)  # another call was quicker
                return fetching
            # A thread of its own, since nobody can tell the source to stop when the deadline is
            # over, and a daemon, so that the program may end all the same.
            target = self._run
            threading.Thread(target=target, args=[fetching], name=_THREAD, daemon=True).start()
            self._fetching = fetching
            return fetching

    def refused(self, token: str) -> bool:
        """Forgets a token that the server refused; returns whether another can be had."""
        with self._lock:
            if self._source is None:
                return False
            if self._kept is not None and self._kept.value == token:
                self._kept = None
            return True

    def _run(self, fetching: Fetching) -> None:
        assert self._source is not None, "only a source is fetched from"
        try:
            token = self._source()
            if not isinstance(token, BearerToken):
                raise TypeError(f"returned a {type(token).__name__}, must be a BearerToken")
            self._keep(token)
        except BaseException as error:  # whatever it is, calls wait for it
            self._put_off()
            fetching.end(error)
        else:
            fetching.end(token.value)

    def _keep(self, token: BearerToken) -> None:
        kept = _Kept(token.value)
        if token.expires_at is not None:
            ends_at_s = token.expires_at.astimezone(UTC).timestamp()
            life_s = ends_at_s - self._clock()
            kept = _Kept(token.value, ends_at_s - min(_RENEW_BEFORE_S, life_s / 5), ends_at_s)
        with self._lock:
            self._fetching, self._kept = None, kept

    def _put_off(self) -> None:
        """Lets calls do with the token that there is, if any, before the source is asked again."""
        with self._lock:
            self._fetching, kept = None, self._kept
            if kept is not None:
                now_s = self._clock()
                wait_s = max(1.0, (kept.ends_at_s - now_s) / 5)
                renew_at_s = min(kept.ends_at_s, now_s + wait_s)
                self._kept = kept._replace(renew_at_s=renew_at_s)
