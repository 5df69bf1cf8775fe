"""On which terms a caller waits for a batch."""

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple


class Priority(IntEnum):
    """Who is taken first."""

    INTERACTIVE = 0
    """Somebody waits for the answer."""
    BATCH = 1
    """Nobody does: it takes the room that interactive work leaves, however long that takes."""


@dataclass(slots=True)
class Timing:
    """When a request's batch ran, on the batcher's clock; 0 for what has not come to pass.

    Of a group that needed several batches, or of one that failed and was run again in halves: from
    the start of the first to the end of the last.
    """

    enqueued_s: float = 0.0
    started_s: float = 0.0
    finished_s: float = 0.0
    batch_size: int = 0
    """Requests in the batch, in the last if there were several."""


class Terms(NamedTuple):
    """What a caller brings to the queue besides requests; a tuple, since every call makes one."""

    timeout_s: float | None = None
    """How long the answer is of use; None for ever."""
    tenant: str = ""
    """With whom the queue is shared fairly."""
    priority: Priority = Priority.INTERACTIVE
    timing: Timing | None = None
    """Filled in by the batcher."""
