"""The seam between the batcher and whatever runs its batches."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, TypeVar

from recserve_server.errors import ServingError

Answer = TypeVar("Answer")
Taken = TypeVar("Taken", contravariant=True)
Given = TypeVar("Given", covariant=True)

Done: TypeAlias = Callable[[Sequence[Answer | ServingError], Exception | None], None]
"""Is told a batch's answers, or nothing and the reason.

A `ServingError` for a reason means that the runner cannot run batches: it is no fault of these.
"""


class BatchRunner(Protocol[Taken, Given]):
    """Where batches are run; at most one is under way at a time."""

    def start(self, requests: Sequence[Taken], done: Done[Given]) -> None:
        """Runs a batch; `done` is called later, in the event loop that `start` was called in."""
        ...

    def close(self) -> None:
        """Frees what it holds; a batch under way is not waited for."""
        ...
