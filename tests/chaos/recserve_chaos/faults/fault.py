"""What a fault is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from recserve_chaos.ledger import Allowed
from recserve_chaos.world import World

NONE: Final = Allowed()
LATE: Final = frozenset({"DEADLINE_EXCEEDED"})
OUT: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED"})


class BrokenPromise(Exception):  # noqa: N818  # it is what was seen, not what went wrong here
    """A fault did something that it must not do; the text says what."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault: what is done, and what must come of it."""

    name: str
    what: str
    """What is injected."""
    expected: str
    """What must happen, besides right answers from all replicas in the end."""
    inject: Callable[[World, Random], Awaitable[str]]
    """Does it, holds it and lifts it; returns what was done. Raises BrokenPromise."""
    allowed: Allowed = NONE
    why: str = ""
    """Why calls may fail, if they may."""


def promise(held: bool, text: str) -> None:
    """Raises BrokenPromise unless something held."""
    if not held:
        raise BrokenPromise(text)
