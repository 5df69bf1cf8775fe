"""Bearer tokens that are renewed before they run out."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeAlias

from recserve_client._errors import UnauthenticatedError

_RENEW_BEFORE_S: Final = 30.0
"""A token this close to its end is renewed; one of a shorter life at four fifths of it."""


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
twice at a time. It may take its time: an asyncio client calls it in a thread. What it raises comes
as UnauthenticatedError.
"""


class TokenCache:
    """Keeps the token until it must be renewed; may be shared by threads."""

    def __init__(self, source: TokenSource, *, clock: Callable[[], float] = time.time) -> None:
        """Checks a fixed token at once.

        Raises:
            ValueError: a fixed token cannot be sent.
        """
        self._clock = clock
        self._lock = threading.Lock()
        self._fetch: Callable[[], BearerToken] | None = None
        self._token: BearerToken | None = None
        self._renew_at_s: float | None = None
        if callable(source):
            self._fetch = source
        else:
            self._token = BearerToken(source) if isinstance(source, str) else source

    @property
    def is_fresh(self) -> bool:
        """Whether `current` returns without fetching."""
        if self._token is None:
            return False
        return self._renew_at_s is None or self._clock() < self._renew_at_s

    def current(self) -> str:
        """Returns the token to send, fetched anew if need be.

        Raises:
            UnauthenticatedError: there is none to be had.
        """
        with self._lock:
            if not self.is_fresh and self._fetch is not None:
                self._keep(_fetched(self._fetch))
            assert self._token is not None, "a fixed token is always there"
            return self._token.value

    def refused(self, token: str) -> bool:
        """Forgets a token that the server refused; returns whether another can be had."""
        with self._lock:
            if self._fetch is None:
                return False
            if self._token is not None and self._token.value == token:
                self._token = None
            return True

    def _keep(self, token: BearerToken) -> None:
        self._token, self._renew_at_s = token, None
        if token.expires_at is not None:
            end_s = token.expires_at.astimezone(UTC).timestamp()
            life_s = end_s - self._clock()
            self._renew_at_s = end_s - min(_RENEW_BEFORE_S, life_s / 5)


def _fetched(fetch: Callable[[], BearerToken]) -> BearerToken:
    try:
        token = fetch()
    except Exception as error:
        raise UnauthenticatedError(f"no bearer token could be fetched: {error}") from error
    if not isinstance(token, BearerToken):
        raise UnauthenticatedError(
            f"what fetches bearer tokens returned a {type(token).__name__}, must be a BearerToken"
        )
    return token
