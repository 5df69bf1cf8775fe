"""What the server's metrics say of its batches while it is asked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Final
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from .plan import PlanError

_LINE: Final = re.compile(
    r'^(recserve_(?:batch_size|queue_depth)\w*)(?:\{le="([^"]*)"\})? (\S+)', re.M
)
_TIMEOUT_S: Final = 0.5
_FAILURES: Final = (OSError, HTTPException, ValueError)


class MetricsError(Exception):
    """The server's metrics cannot be read; the text is for whoever gave the address."""


@dataclass(frozen=True, slots=True)
class Batches:
    """Counters of the server at one moment."""

    calls: float = 0.0
    """Model calls so far."""
    requests: float = 0.0
    """Requests in them."""
    queue_depth: float = 0.0
    """Requests that wait now."""
    up_to: Mapping[str, float] = field(default_factory=dict)
    """By upper bound, model calls of at most this size so far."""


class MetricsReader:
    """Reads `GET /metrics` of a server, from one moment to the next."""

    def __init__(self, url: str) -> None:
        """Reads once.

        Raises:
            PlanError: the address is none of HTTP.
            MetricsError: they cannot be read, or are not recserve's.
        """
        if urlsplit(url).scheme not in ("http", "https"):
            raise PlanError(
                f"address of the metrics is {url!r}, must begin with http:// or https://"
            )
        self._url = url
        # Straight to the server, as the calls go.
        self._opener = build_opener(ProxyHandler({}))
        try:
            self._first = self._last = self._read()
        except _FAILURES as error:
            raise MetricsError(f"cannot read the metrics at {url}: {_told(error)}") from error

    def begin(self) -> None:
        """Forgets what was before."""
        self._first = self._last = self._read_again() or self._last

    def since_last(self) -> tuple[float | None, float | None]:
        """Returns the mean batch size since the last call, and how many requests wait.

        Each is None if the server did not tell, the first also if it made no batch.
        """
        before, now = self._last, self._read_again()
        if now is None:
            return None, None
        self._last = now
        calls = now.calls - before.calls
        mean = (now.requests - before.requests) / calls if calls > 0 else None
        return mean, now.queue_depth

    def sizes(self) -> tuple[tuple[str, int], ...]:
        """Returns (upper bound, model calls) since `begin`."""
        now = self._read_again() or self._last
        found: list[tuple[str, int]] = []
        below = 0.0
        for bound, count in now.up_to.items():
            up_to = count - self._first.up_to.get(bound, 0.0)
            found.append((bound, round(up_to - below)))
            below = up_to
        return tuple(found)

    def _read_again(self) -> Batches | None:
        # A server too busy for its metrics is no reason to stop.
        try:
            return self._read()
        except _FAILURES:
            return None

    def _read(self) -> Batches:
        with self._opener.open(self._url, timeout=_TIMEOUT_S) as answer:
            text = answer.read().decode("utf-8")
        found = {(name, bound): float(value) for name, bound, value in _LINE.findall(text)}
        if ("recserve_batch_size_count", "") not in found:
            raise ValueError("there is no recserve_batch_size among them")
        return Batches(
            calls=found["recserve_batch_size_count", ""],
            requests=found.get(("recserve_batch_size_sum", ""), 0.0),
            queue_depth=found.get(("recserve_queue_depth", ""), 0.0),
            up_to={
                bound.removesuffix(".0"): count
                for (name, bound), count in found.items()
                if name == "recserve_batch_size_bucket"
            },
        )


def _told(error: Exception) -> str:
    # What could not be reached is told by an error in the error.
    reason = error.reason if isinstance(error, URLError) else error
    return (reason.strerror if isinstance(reason, OSError) else None) or str(reason)
