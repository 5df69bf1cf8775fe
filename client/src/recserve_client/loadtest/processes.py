"""The processes that send a load test, and the pipes to them."""

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Final

from recserve_client import RecommenderError

from .driver import Order
from .worker import Halt, Setup, work

_END_LIMIT_S: Final = 2.0


class WorkerError(RecommenderError):
    """A process of the load test ended when it should not; its result is lost."""


class Processes:
    """Processes that run `worker.work`, by number."""

    def __init__(self, setups: Sequence[Setup]) -> None:
        """Starts one for each setup."""
        self._running: list[tuple[SpawnProcess, Connection]] = []
        with _sigint_blocked():
            self._running.extend(map(_start, setups))

    def __len__(self) -> int:
        """Returns how many there are."""
        return len(self._running)

    def close(self) -> None:
        """Ends them; may be called again."""
        for _, pipe in self._running:
            pipe.close()
        for process, _ in self._running:
            process.join(_END_LIMIT_S)
            if process.is_alive():
                process.kill()
                process.join()
        self._running.clear()

    def send(self, message: Order | Halt) -> None:
        """Sends each of them the message.

        Raises:
            WorkerError: one has ended.
        """
        for number, (_, pipe) in enumerate(self._running):
            try:
                pipe.send(message)
            except OSError:
                raise self._death_of(number) from None

    def receive(self, limit_s: float | None = None) -> list[tuple[int, object]]:
        """Waits for messages; returns each with the number of its process, none if time runs out.

        Raises:
            WorkerError: one has ended.
        """
        numbers = {id(pipe): number for number, (_, pipe) in enumerate(self._running)}
        found: list[tuple[int, object]] = []
        for pipe in wait([pipe for _, pipe in self._running], limit_s):
            assert isinstance(pipe, Connection)
            try:
                found.append((numbers[id(pipe)], pipe.recv()))
            except (EOFError, OSError):
                raise self._death_of(numbers[id(pipe)]) from None
        return found

    def _death_of(self, number: int) -> WorkerError:
        process, _ = self._running[number]
        process.join(_END_LIMIT_S)
        return WorkerError(
            f"process {number + 1} of {len(self)} of the load test ended "
            f"with exit code {process.exitcode}"
        )


def _start(setup: Setup) -> tuple[SpawnProcess, Connection]:
    # Not by fork: the caller may have threads, gRPC's among them.
    context = multiprocessing.get_context("spawn")
    pipe, far_end = context.Pipe()
    process = context.Process(target=work, args=(far_end, setup), daemon=True)
    process.start()
    far_end.close()  # so that its end is told by the pipe
    return process, pipe


@contextlib.contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Makes processes that start inside deaf to Ctrl-C from their first moment on."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
