"""A run on the terminal, while it goes on."""

import time
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .plan import Stage
from .result import StageResult, Window
from .tables import milliseconds, per_second, percent

_BARS: Final = "▁▂▃▄▅▆▇█"
_SHOWN: Final = 60
_LINE_EVERY_S: Final = 5.0


class View:
    """Shows a run; on a terminal a panel that changes, else a line each five seconds."""

    def __init__(
        self,
        console: Console,
        *,
        is_quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._clock, self._is_quiet = console, clock, is_quiet
        self._live: Live | None = None
        if console.is_interactive and not is_quiet:
            self._live = Live(console=console, refresh_per_second=8, transient=True)
        self._stage: Stage | None = None
        self._title = ""
        self._windows: deque[Window] = deque(maxlen=_SHOWN)
        self._began_s = self._told_s = 0.0

    def __enter__(self) -> Self:
        """Begins to show."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Clears what was shown."""
        if self._live is not None:
            self._live.stop()

    def stage_started(self, stage: Stage, number: int) -> None:
        """Begins with another stage."""
        self._stage, self._title = stage, f"stage {number}: {stage.pressure.label}"
        self._windows.clear()
        self._began_s = self._told_s = self._clock()
        if self._live is not None:
            self._live.update(Text(f"{self._title}, warming up for {stage.warmup_s:g} s"))
        elif not self._is_quiet:
            self._console.print(
                f"{self._title}, {stage.seconds:g} s after {stage.warmup_s:g} s of warm-up"
            )

    def window_ended(self, window: Window) -> None:
        """Shows one more second."""
        self._windows.append(window)
        if self._live is not None:
            self._live.update(self._panel(window))
        elif not self._is_quiet and self._clock() - self._told_s >= _LINE_EVERY_S:
            self._told_s = self._clock()
            self._console.print(f"  {self._clock() - self._began_s:5.0f} s  {self._line(window)}")

    def stage_ended(self, result: StageResult) -> None:
        """Leaves a line of what came of the stage."""
        if self._is_quiet:
            return
        latency = result.latency
        verdict = {None: "", True: ", objective kept", False: ", objective missed"}[result.holds]
        self._console.print(
            f"{result.label}: {per_second(result.ok_per_s)} OK/s, "
            f"p50 {milliseconds(latency.p50_ms)} ms, p99 {milliseconds(latency.p99_ms)} ms, "
            f"{percent(result.error_share)} errors{verdict}"
        )

    def _line(self, window: Window) -> str:
        latency = window.latency
        told = [
            f"{per_second(window.ok / window.seconds)} OK/s",
            f"p50 {milliseconds(latency.p50_ms)} ms",
            f"p99 {milliseconds(latency.p99_ms)} ms",
            f"{sum(window.errors.values()):,} errors",
        ]
        if window.mean_batch_size is not None:
            told.append(f"batches of {window.mean_batch_size:.1f}")
        return ", ".join(told)

    def _panel(self, window: Window) -> Group:
        assert self._stage is not None, "windows come after a stage began"
        elapsed_s, wanted_s = window.start_s + window.seconds, self._stage.seconds
        # Until it is stable, a stage goes on beyond what it was meant to take.
        end = f"of {wanted_s:g} s" if elapsed_s <= wanted_s else f"s, more than the {wanted_s:g} s"
        head = Text(f"{self._title}, {round(elapsed_s, 1):g} {end}", "bold")
        rows = Table.grid(padding=(0, 2))
        seen = self._windows
        shown: list[tuple[str, list[float | None], Callable[[float | None], str]]] = [
            ("OK/s", [each.ok / each.seconds for each in seen], per_second),
            ("p50 ms", [each.latency.p50_ms for each in seen], milliseconds),
            ("p99 ms", [each.latency.p99_ms for each in seen], milliseconds),
            ("errors", [float(sum(each.errors.values())) for each in seen], _count),
        ]
        for name, values, told in shown:
            rows.add_row(name, Text(sparkline(values), "cyan"), told(values[-1]))
        if window.mean_batch_size is not None:
            rows.add_row("batch", "", f"{window.mean_batch_size:.1f}")
        return Group(head, rows)


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def sparkline(values: Iterable[float | None]) -> str:
    """Draws values as bars from nothing to the greatest; a gap where there is none."""
    shown = list(values)
    greatest = max((value for value in shown if value is not None), default=0.0) or 1.0
    top = len(_BARS) - 1
    return "".join(
        " " if value is None else _BARS[round(top * value / greatest)] for value in shown
    )
