"""A load test's processes as one: stages go in, results come out."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Final, Self

from recserve_client import UnavailableError

from .arrivals import Share
from .driver import Order
from .merging import Merger, samples
from .plan import Arrivals, Endpoint, OpenLoop, PlanError, Question, Stage
from .processes import Processes, WorkerError
from .result import StageResult, Window
from .slices import Slice, Summary
from .wire.calls import encode
from .wire.transport import tls_context
from .worker import Failed, Halt, Ready, Setup

__all__ = ["MAX_PROCESSES", "Fleet", "WorkerError"]

MAX_PROCESSES: Final = 64
_AHEAD_S: Final = 0.2  # of the first call, so that all processes have their order by then
_HALT_AHEAD_S: Final = 0.05
_LOOK_EVERY_S: Final = 0.1


class Fleet:
    """Processes, each with its part of the connections; they end with `with`.

    After an exception from a stage it can only be closed.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        questions: Sequence[Question],
        *,
        processes: int = 1,
        seed: int = 1,
    ) -> None:
        """Starts the processes and connects them.

        Args:
            endpoint: whom to ask; each process has at least one connection.
            questions: what, over and over.
            processes: how many; one sends some 20,000 calls per second.
            seed: draws when calls leave.

        Raises:
            PlanError: nothing can be sent like this.
            UnavailableError: the endpoint cannot be reached.
            WorkerError: a process ended.
        """
        _check(endpoint, questions, processes)
        self.samples: tuple[tuple[str, bytes], ...] = ()
        """(method, message) of some answers of the last stage, at most 200."""
        self._seed, self._stages = seed, 0
        self._processes = Processes(
            [Setup(endpoint, questions, Share(index, processes)) for index in range(processes)]
        )
        try:
            self._await_ready(endpoint)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Returns the fleet itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends the processes."""
        self.close()

    def close(self) -> None:
        """Ends the processes; may be called again."""
        self._processes.close()

    def run(
        self,
        stage: Stage,
        *,
        on_window: Callable[[Window], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
        times_s: Sequence[float] = (),
        window_s: float = 1.0,
    ) -> StageResult:
        """Runs a stage with all processes; leaves out what server and search could tell.

        Args:
            stage: what to run.
            on_window: called with each window of the measured time, a moment after it has passed;
                with the last one when all its calls have ended.
            should_stop: asked ten times per second; True ends the measured time there.
            times_s: for recorded arrivals, when each call leaves, in seconds since the measured
                time begins, ascending; the first call asks the first question, and so on.
            window_s: length of a window, seconds; each keeps a histogram of some kilobytes.

        Raises:
            PlanError: arrivals are recorded ones and there are none.
            WorkerError: a process ended.
        """
        self._processes.send(self._order(stage, times_s, window_s))
        merger = Merger(stage, window_s, len(self._processes))
        summaries: list[Summary] = []
        for told in self._listen(should_stop):
            windows: Iterable[Window] = ()
            if isinstance(told, Slice):
                windows = merger.add(told)
            else:
                summaries.append(told)
                if len(summaries) == len(self._processes):
                    windows = merger.rest(summaries)
            for window in windows:
                if on_window is not None:
                    on_window(window)
        self.samples = samples(summaries)
        return merger.result(summaries)

    def _order(self, stage: Stage, times_s: Sequence[float], window_s: float) -> Order:
        pressure = stage.pressure
        is_recorded = isinstance(pressure, OpenLoop) and pressure.arrivals is Arrivals.RECORDED
        if is_recorded and not times_s:
            raise PlanError("arrivals are recorded, but there are no times")
        self._stages += 1
        return Order(
            stage=stage,
            zero_s=time.monotonic() + _AHEAD_S + stage.warmup_s,
            seed=self._seed * 1_000_003 + self._stages,
            window_s=window_s,
            times_s=times_s if is_recorded else (),
        )

    def _await_ready(self, endpoint: Endpoint) -> None:
        waited = set(range(len(self._processes)))
        while waited:
            for number, message in self._processes.receive():
                if isinstance(message, Failed):
                    place = f"{endpoint.host}:{endpoint.port}"
                    raise UnavailableError(f"{place} cannot be reached: {message.text}")
                if isinstance(message, Ready):
                    waited.discard(number)

    def _listen(self, should_stop: Callable[[], bool] | None) -> Iterator[Slice | Summary]:
        """Yields what the processes tell until each has ended the stage."""
        waited, halted = set(range(len(self._processes))), False
        while waited:
            for number, message in self._processes.receive(_LOOK_EVERY_S):
                if isinstance(message, Summary):
                    waited.discard(number)
                if isinstance(message, Summary | Slice):
                    yield message
            if not halted and should_stop is not None and should_stop():
                halted = True
                self._processes.send(Halt(time.monotonic() + _HALT_AHEAD_S))


def _check(endpoint: Endpoint, questions: Sequence[Question], processes: int) -> None:
    """Finds what is better told here than by each process."""
    if not questions:
        raise PlanError("there is no question to ask")
    if not 1 <= processes <= MAX_PROCESSES:
        raise PlanError(f"processes is {processes}, must be from 1 to {MAX_PROCESSES}")
    # Of questions only their methods can be wrong: not each of thousands is looked at.
    encode({each.method: each for each in questions}.values(), endpoint)
    tls_context(endpoint)
