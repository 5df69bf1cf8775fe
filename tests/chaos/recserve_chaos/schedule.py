"""Which fault comes next: every one once, in a random order, and again until time is up."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import TypeVar

Item = TypeVar("Item")


def rounds(items: Sequence[Item], random: Random) -> Iterator[Item]:
    """Yields items for ever, none a second time before all have had their turn."""
    while True:
        yield from random.sample(items, len(items))
