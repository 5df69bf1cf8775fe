"""Callers of a batcher as its state machine knows them."""

import asyncio
from dataclasses import dataclass

from recserve_server.batching.terms import Priority, Terms
from recserve_server.errors import (
    DeadlineTooShort,
    ExpiredInQueue,
    ModelFailed,
    NotReady,
    Overloaded,
)


@dataclass(eq=False)
class Asked:
    """What one caller wanted, and what became of it."""

    numbers: tuple[int, ...]
    terms: Terms
    deadline_s: float
    most_before: float
    """How many interactive requests may have been run, at the most, when its last one is."""
    task: "asyncio.Task[list[int]]"
    is_cancelled: bool = False

    @property
    def kind(self) -> tuple[str, Priority]:
        return self.terms.tenant, self.terms.priority


def ending(task: "asyncio.Task[list[int]]") -> object:
    """Returns what became of a caller who is still there: a list, an error or None."""
    if task.cancelled() or not task.done():
        return None
    return task.exception() or task.result()


def encode(number: int) -> int:
    """Returns what `ManualRunner` takes for a number of this fate."""
    if number % 7 == 0:
        return -number
    return 0 if number % 5 == 0 else number


def check(caller: Asked) -> None:
    if caller.task.cancelled():
        assert caller.is_cancelled
        return
    error = caller.task.exception()
    if error is None:
        assert caller.task.result() == [2 * number for number in caller.numbers]
    elif isinstance(error, ModelFailed):
        # Groups are split into batches of three; a failure in any of them is the group's.
        assert any(encode(number) <= 0 for number in caller.numbers)
    else:
        assert isinstance(error, (Overloaded, DeadlineTooShort, ExpiredInQueue, NotReady))
        if isinstance(error, (DeadlineTooShort, ExpiredInQueue)):
            assert caller.deadline_s < float("inf")
