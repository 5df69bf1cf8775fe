"""One thread that runs batches, for models that live in the server's own process."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Generic, TypeVar

from recserve_server.batching.runner import Done
from recserve_server.errors import ServingError

Request = TypeVar("Request")
Answer = TypeVar("Answer")


class BatchThread(Generic[Request, Answer]):
    """A `BatchRunner` on a thread of its own.

    Python runs one thread at a time: under load a model in here and gRPC slow each other down
    (docs/performance.md). Servers use `process_runner`; this is for tests and for embedding.
    """

    def __init__(self, run: Callable[[Sequence[Request]], Sequence[Answer | ServingError]]) -> None:
        """Takes `run`, which answers a batch in order, some perhaps by a failure; it may block."""
        self._run = run
        self._jobs: SimpleQueue[
            tuple[Sequence[Request], Done[Answer], asyncio.AbstractEventLoop] | None
        ] = SimpleQueue()
        # A daemon: a model that hangs must not keep the process alive.
        self._thread = threading.Thread(target=self._work, name="batch", daemon=True)
        self._thread.start()

    def start(self, requests: Sequence[Request], done: Done[Answer]) -> None:
        """Runs a batch; see `BatchRunner`."""
        self._jobs.put((requests, done, asyncio.get_running_loop()))

    def close(self) -> None:
        """Lets the thread end after what it runs."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            requests, done, loop = job
            answers, error = self._attempt(requests)
            # The loop may have been closed while the model ran.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(done, answers, error)
            # Nothing of a batch outlives it while the thread waits for the next.
            del job, requests, done, answers, error

    def _attempt(
        self, requests: Sequence[Request]
    ) -> tuple[Sequence[Answer | ServingError], Exception | None]:
        try:
            answers = self._run(requests)
            if len(answers) != len(requests):
                raise ValueError(f"{len(answers)} answers to {len(requests)} requests")
        except Exception as error:
            return (), error
        return answers, None
