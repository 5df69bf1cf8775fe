"""Paths as users type them."""

from pathlib import Path


def path_of(text: str) -> Path:
    """Returns a path, a leading `~` taken for the home folder."""
    return Path(text).expanduser()
