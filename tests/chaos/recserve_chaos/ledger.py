"""Counts every call, and says which fault it met and whether it may fail."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

_EXAMPLES: Final = 20
_LONGEST: Final = 300


@dataclass(frozen=True)
class Allowed:
    """Statuses that calls may fail with while a fault lasts; all others must not be seen."""

    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()

    def lets(self, status: str, is_write: bool) -> bool:
        return status in (self.writes if is_write else self.reads)


@dataclass(frozen=True)
class Call:
    """A call that has ended."""

    start_s: float
    end_s: float
    status: str
    is_write: bool = False
    problem: str = ""
    """What is wrong with the answer; empty if it is right, or if there is none."""
    is_degraded: bool = False


@dataclass
class Window:
    """The time from a fault's injection until all is right again, and what calls met in it."""

    fault: str
    allowed: Allowed
    start_s: float
    end_s: float | None = None
    lifted_s: float | None = None
    recovered_s: float | None = None
    note: str = ""
    broken: str = ""
    """What the fault promised and did not hold."""
    calls: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    """Allowed failures by status."""
    outside: Counter[str] = field(default_factory=Counter)
    """Failures that are not allowed, by status."""
    wrong: int = 0
    lost: int = 0
    degraded: int = 0

    @property
    def recovery_s(self) -> float | None:
        """Seconds from the fault's end until all was right."""
        if self.lifted_s is None or self.recovered_s is None:
            return None
        return self.recovered_s - self.lifted_s

    def overlaps(self, start_s: float, end_s: float) -> bool:
        return start_s <= (self.end_s or end_s) and self.start_s <= end_s


@dataclass
class Ledger:
    """All windows, and a last one for the time between them."""

    clock: Callable[[], float] = time.monotonic
    windows: list[Window] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    """Some of what must not be, in words."""

    def __post_init__(self) -> None:
        self.calm = Window("none", Allowed(), self.clock())

    @contextmanager
    def window(self, fault: str, allowed: Allowed) -> Iterator[Window]:
        """Opens a window; it is closed at the end of the block."""
        window = Window(fault, allowed, self.clock())
        self.windows.append(window)
        try:
            yield window
        finally:
            window.end_s = self.clock()

    def at(self, start_s: float, end_s: float) -> list[Window]:
        """Returns the windows that a time touches."""
        return [each for each in self.windows[-4:] if each.overlaps(start_s, end_s)]

    def count(self, call: Call, about: str = "") -> None:
        """Counts a call, by the fault that it met."""
        met = self.at(call.start_s, call.end_s)
        window = met[0] if met else self.calm
        window.calls += 1
        window.degraded += call.is_degraded
        if call.problem:
            window.wrong += 1
            self._example(f"wrong during {window.fault}: {call.problem}: {about}")
        if call.status == "OK":
            return
        if any(each.allowed.lets(call.status, call.is_write) for each in met):
            window.failed[call.status] += 1
        else:
            window.outside[call.status] += 1
            self._example(f"{call.status} during {window.fault}: {about}")

    def lose(self, acknowledged_s: float) -> None:
        """Counts an acknowledged event that is not there any more."""
        met = self.at_any(acknowledged_s)
        (met or self.calm).lost += 1

    def at_any(self, moment_s: float) -> Window | None:
        """Returns the window of a moment, however long ago."""
        return next((each for each in self.windows if each.overlaps(moment_s, moment_s)), None)

    def _example(self, text: str) -> None:
        if len(self.examples) < _EXAMPLES:
            self.examples.append(text[:_LONGEST])


def told(statuses: Mapping[str, int]) -> str:
    """Writes numbers of statuses for people."""
    return ", ".join(f"{count} {name}" for name, count in sorted(statuses.items())) or "0"
