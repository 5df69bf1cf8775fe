"""What was printed, on terminals that remember it and by programs that fail."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from recserve_client.loadtest.result import Run
from recserve_client.loadtest.tables import print_run

ODD = "[/] [red]"


class Screen(Console):
    """A console of which the text can be read."""

    def __init__(self) -> None:
        super().__init__(file=io.StringIO(), width=120, highlight=False)

    @property
    def lines(self) -> list[str]:
        assert isinstance(self.file, io.StringIO)
        return [line.rstrip() for line in self.file.getvalue().splitlines()]


def printed(run: Run) -> list[str]:
    screen = Screen()
    print_run(screen, run)
    return screen.lines


def failure(capsys) -> str:
    """Returns the only line that was printed."""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err.rstrip()


def usage_error(capsys, run: Callable[[], int]) -> str:
    with pytest.raises(SystemExit) as raised:
        run()
    assert raised.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usage: recserve loadtest")
    return captured.err.splitlines()[-1]
