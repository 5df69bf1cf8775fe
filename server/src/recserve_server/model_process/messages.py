"""What the server and its model process say to each other, in this order."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from recserve_server.errors import ServingError
from recserve_server.model import Replayed
from recserve_server.models.refusal import Refusal
from recserve_server.query import Schema


@dataclass(frozen=True, slots=True)
class Opening:
    """What the process is told first."""

    folder: Path
    manifest: bytes
    """The encoded `recserve.artifact.v1.Manifest`, verified."""
    batch_sizes: tuple[int, ...]
    max_k: int
    log_level: str
    log_format: str
    is_background: bool = False
    """Whether another version serves meanwhile, which is to feel nothing of it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What it answers: it is warm, or why it cannot be used."""

    problem: str = ""
    schema: Schema = Schema()  # noqa: RUF009  # immutable
    """What questions may name."""
    refusal: Refusal = Refusal.FAILED
    """What kind of problem it is, if there is one."""
    replayed: Replayed = Replayed()  # noqa: RUF009  # immutable
    """What it answered to its golden queries."""


class Answered(NamedTuple):
    """What became of a batch; a tuple, since one is sent for every batch."""

    answers: Sequence[bytes | ServingError]
    problem: str
    """Why the batch as a whole failed; empty if it did not."""
    stats: bytes
    """What all answers so far were like: packed, since few of them are looked at."""
