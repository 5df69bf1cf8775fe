"""What ends calls before their time: a budget that is cancelled, a client that is closed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Watched(Protocol):
    """What tells of its end."""

    def watch(self, tell: Callable[[], object]) -> None:
        """Has `tell` called at the end, or at once if it has ended."""

    def unwatch(self, tell: Callable[[], object]) -> None:
        """Takes back `watch`."""


class Stop:
    """Is set once, from any thread, and tells all who watch."""

    def __init__(self) -> None:
        self.is_set = False
        self._watchers: set[Callable[[], object]] = set()

    def set(self) -> None:
        """Tells all who watch, and from now on whoever begins to."""
        # Without a lock, which a signal handler could find held by its own thread. Nobody is
        # missed: this sets before it looks who watches, and they are there before they look.
        self.is_set = True
        for tell in self._watchers.copy():
            tell()

    def watch(self, tell: Callable[[], object]) -> None:
        """Has `tell` called when it is set, or at once if it is; `tell` must not raise."""
        self._watchers.add(tell)
        if self.is_set:
            tell()

    def unwatch(self, tell: Callable[[], object]) -> None:
        """Takes back `watch`."""
        self._watchers.discard(tell)


@contextmanager
def watching(tell: Callable[[], object], *sources: Watched | None) -> Iterator[None]:
    """Watches all that are not None while the block runs."""
    watched = [source for source in sources if source is not None]
    try:
        for source in watched:
            source.watch(tell)
        yield
    finally:
        for source in watched:
            source.unwatch(tell)
