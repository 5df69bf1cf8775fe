"""What a terminal shows while a load test runs."""

import contextlib
import os
import pty
from collections.abc import Iterator
from dataclasses import replace

import pytest
import runs
import timings
from rich.console import Console
from screens import Screen

from recserve_client.loadtest.plan import ClosedLoop, OpenLoop, Stage
from recserve_client.loadtest.tables import print_run
from recserve_client.loadtest.view import View, sparkline


@pytest.fixture
def screen() -> Screen:
    return Screen()


def test_a_narrow_terminal_loses_no_digits(terminal: "Terminal") -> None:
    terminal.console.width = 40
    run = runs.search_run()
    print_run(terminal.console, run)
    text = terminal.read()
    assert "…" not in text
    assert all(f"{each.label}  {each.started:,}" in text for each in run.stages[1:4])


def test_bars_stand_on_nothing_and_reach_to_the_greatest() -> None:
    assert sparkline([0.0, 3.5, None, 7.0]) == "▁▅ █"
    assert sparkline([None, None]) == "  "
    assert sparkline([0.0, 0.0]) == "▁▁"
    assert sparkline([]) == ""


def show(view: View, stage: Stage, seconds: int) -> None:
    windows = [timings.window([5.0] * 100, start_s=float(start)) for start in range(seconds)]
    with view:
        view.stage_started(stage, 1)
        for window in windows:
            view.window_ended(window)
        view.stage_ended(timings.stage(windows))


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_without_a_terminal_there_is_a_line_each_five_seconds(screen: Screen) -> None:
    clock = Clock()
    view = View(screen, clock=clock)
    view.stage_started(Stage(pressure=OpenLoop(rate_per_s=100.0), seconds=12), 2)
    for start in range(12):
        clock.now_s += 1
        window = timings.window([5.0] * 100, start_s=float(start), failed=1)
        view.window_ended(replace(window, mean_batch_size=3.21))

    line = "OK/s, p50 5.00 ms, p99 5.00 ms, 1 errors, batches of 3.2"
    assert screen.lines == [
        "stage 2: 100/s, 12 s after 2 s of warm-up",
        f"      5 s  100 {line}",
        f"     10 s  100 {line}",
    ]


def test_a_stage_leaves_a_line_of_what_came_of_it(screen: Screen) -> None:
    view = View(screen)
    stage = timings.stage([timings.window([5.0] * 99, failed=1)])
    for holds in (None, True, False):
        view.stage_ended(replace(stage, holds=holds))

    line = "200/s: 99 OK/s, p50 5.00 ms, p99 5.00 ms, 1 % errors"
    assert screen.lines == [line, f"{line}, objective kept", f"{line}, objective missed"]


def test_a_quiet_view_shows_nothing(screen: Screen) -> None:
    show(View(screen, is_quiet=True), Stage(pressure=ClosedLoop(concurrency=2), seconds=3), 3)
    assert screen.lines == []


class Terminal:
    """A real terminal of one kind, and what was written to it."""

    def __init__(self, kind: str) -> None:
        self._far_end, near_end = pty.openpty()
        self._file = os.fdopen(near_end, "w", encoding="utf-8")
        self.console = Console(file=self._file, width=80, highlight=False, _environ={"TERM": kind})

    def read(self) -> str:
        """Ends it and returns all of it, which comes in pieces."""
        self._file.close()
        pieces = []
        with contextlib.suppress(OSError):  # by which Linux tells the end
            while piece := os.read(self._far_end, 2**16):
                pieces.append(piece)
        return b"".join(pieces).decode()

    def close(self) -> None:
        self._file.close()
        os.close(self._far_end)


@pytest.fixture(params=["xterm-256color"])
def terminal(request: pytest.FixtureRequest) -> Iterator[Terminal]:
    terminal = Terminal(request.param)
    yield terminal
    terminal.close()


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(3, "stage 1: 2 in flight, 3 of 3 s"), (4, "stage 1: 2 in flight, 4 s, more than the 3 s")],
)
def test_a_terminal_shows_a_panel_that_is_cleared(
    terminal: Terminal, seconds: int, told: str
) -> None:
    show(View(terminal.console), Stage(pressure=ClosedLoop(concurrency=2), seconds=3), seconds)
    text = terminal.read()

    assert told in text
    assert "█" * seconds in text
    panel_rows, clear = 5, "\x1b[1A\x1b[2K"
    assert text.rstrip().endswith(clear * panel_rows)
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1  # the cursor is there again


@pytest.mark.parametrize("terminal", ["dumb"], indirect=True)
def test_a_terminal_that_can_do_nothing_gets_lines(terminal: Terminal) -> None:
    show(View(terminal.console), Stage(pressure=ClosedLoop(concurrency=2), seconds=3), 3)
    assert terminal.read().splitlines() == [
        "stage 1: 2 in flight, 3 s after 2 s of warm-up",
        "200/s: 100 OK/s, p50 5.00 ms, p99 5.00 ms, 0 % errors",
    ]
