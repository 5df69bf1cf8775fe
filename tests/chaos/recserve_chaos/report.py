"""What a run found: a table for people, JSON for programs, a verdict."""

import json
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .faults.fault import Fault
from .ledger import Window, told
from .measuring import Growth
from .settings import Settings
from .world import World

HEADS = (
    "fault",
    "times",
    "what happened",
    "calls",
    "failed, allowed",
    "failed, not allowed",
    "wrong",
    "lost events",
    "right again after, s",
)
GROWTH_HEADS = ("replica", "measure", "half way", "at the end", "per hour", "flat")


@dataclass(frozen=True)
class Row:
    """All injections of one fault."""

    fault: str
    times: int
    happened: list[str]
    """What was done each time."""
    calls: int
    allowed: dict[str, int]
    outside: dict[str, int]
    wrong: int
    lost: int
    degraded: int
    broken: list[str]
    recovery_s: list[float]

    @classmethod
    def of(cls, name: str, windows: Sequence[Window]) -> "Row":
        """Sums up the windows of a fault."""
        return cls(
            name,
            len(windows),
            [each.note for each in windows if each.note],
            sum(each.calls for each in windows),
            dict(sum((each.failed for each in windows), Counter())),
            dict(sum((each.outside for each in windows), Counter())),
            sum(each.wrong for each in windows),
            sum(each.lost for each in windows),
            sum(each.degraded for each in windows),
            [each.broken for each in windows if each.broken],
            [each.recovery_s for each in windows if each.recovery_s is not None],
        )

    @property
    def is_good(self) -> bool:
        """Whether everything that must be 0 is."""
        return not (self.outside or self.wrong or self.lost or self.broken)

    def cells(self) -> list[str]:
        """Returns the row of the table."""
        happened = f"BROKEN: {self.broken[0]}" if self.broken else "".join(self.happened[-1:])
        times = self.recovery_s
        recovery = f"{statistics.median(times):.1f}, {max(times):.1f}" if times else "-"
        counts = (self.calls, told(self.allowed), told(self.outside), self.wrong, self.lost)
        return [self.fault, str(self.times), happened, *map(str, counts), recovery]


@dataclass
class Report:
    """Everything that a run found."""

    seed: int
    minutes: float
    store: str
    is_secured: bool
    rows: list[Row]
    calm: Row
    acknowledged: int
    """Events."""
    given_up: int
    unsent: int
    skipped: dict[str, str]
    problem: str = ""
    """What is wrong in the end."""
    examples: list[str] = field(default_factory=list)
    growths: list[Growth] = field(default_factory=list)
    """Of a soak."""

    @property
    def is_good(self) -> bool:
        """Whether everything that must be 0 is."""
        is_flat = all(each.is_flat for each in self.growths)
        are_good = all(each.is_good for each in (*self.rows, self.calm))
        return not self.problem and is_flat and are_good

    def table(self) -> list[list[str]]:
        """Returns the cells of all rows, a sum last."""
        everything = [*self.rows, self.calm]
        allowed = sum((Counter(each.allowed) for each in everything), Counter())
        outside = sum((Counter(each.outside) for each in everything), Counter())
        total = Row(
            "all",
            sum(each.times for each in self.rows),
            [f"{self.acknowledged} events acknowledged"],
            sum(each.calls for each in everything),
            dict(allowed),
            dict(outside),
            sum(each.wrong for each in everything),
            sum(each.lost for each in everything),
            sum(each.degraded for each in everything),
            [],
            [time for each in self.rows for time in each.recovery_s],
        )
        return [each.cells() for each in (*everything, total)]

    def write(self, settings: Settings) -> None:
        """Writes the files that were asked for."""
        if settings.report:
            content = json.dumps({**asdict(self), "is_good": self.is_good}, indent=1)
            _write(settings.report, content + "\n")
        if settings.markdown:
            text = _markdown(HEADS, self.table())
            if self.growths:
                text += "\n" + _markdown(GROWTH_HEADS, self.growth_table())
            _write(settings.markdown, text)

    def growth_table(self) -> list[list[str]]:
        """Returns the cells of what a soak measured."""
        return [
            [each.replica, each.measure, *_amounts(each), "yes" if each.is_flat else "NO"]
            for each in self.growths
        ]


def report_on(world: World, settings: Settings, faults: Sequence[Fault], problem: str) -> Report:
    """Sums a run up."""
    feedback, missing = world.traffic.feedback, world.missing
    windows: dict[str, list[Window]] = {each.name: [] for each in faults}
    for window in world.ledger.windows:
        windows[window.fault].append(window)
    return Report(
        seed=settings.seed,
        minutes=settings.minutes,
        store="redis" if world.store.is_shared else "sqlite",
        is_secured=settings.secured,
        rows=[Row.of(name, found) for name, found in windows.items() if found],
        calm=Row.of("between faults", [world.ledger.calm]),
        acknowledged=len(feedback.acknowledged),
        given_up=feedback.given_up,
        unsent=world.traffic.unsent,
        skipped={each.name: missing[each.name] for each in faults if each.name in missing},
        problem=problem,
        examples=world.ledger.examples,
    )


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(each)} |\n" for each in lines)


def _amounts(growth: Growth) -> list[str]:
    amounts = (growth.before, growth.after, growth.per_hour)
    if growth.measure.endswith("_bytes"):
        return [f"{each / 2**20:.0f} MiB" for each in amounts]
    return [f"{each:.0f}" for each in amounts]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
