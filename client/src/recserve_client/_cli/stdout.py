"""Standard output, which may be narrower than what is printed, or gone."""

import io
import os
import sys


def escape_odd_characters() -> None:
    """Makes what is outside the terminal's encoding cost an escape, not the whole answer."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def discard() -> None:
    """Gives up on it, after it could not be written."""
    # The interpreter flushes at exit, and would complain once more.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
