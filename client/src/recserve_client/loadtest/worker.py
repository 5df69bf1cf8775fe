"""One process of a load test: connects, then runs its part of each stage it is told to.

Its parent speaks through a pipe: `Order` and `Halt` come in; `Ready` or `Failed` goes out once,
then slices, and after each stage a summary. The process ends when the pipe closes.
"""

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from .arrivals import Share
from .driver import Driver, Order
from .plan import Endpoint, Question
from .wire.calls import encode
from .wire.pool import Pool


@dataclass(frozen=True, slots=True)
class Setup:
    """What a process needs from the start."""

    endpoint: Endpoint
    questions: Sequence[Question]
    share: Share


@dataclass(frozen=True, slots=True)
class Halt:
    """Ends the running stage early."""

    end_s: float
    """When, on the clock of time.monotonic."""


@dataclass(frozen=True, slots=True)
class Ready:
    """All connections are there."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A connection cannot be made; the process ends."""

    text: str


class _ParentGoneError(Exception):
    pass


def work(pipe: Connection, setup: Setup) -> None:
    """Runs stages until the pipe closes."""
    # Ctrl-C reaches the whole group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    endpoint, share = setup.endpoint, setup.share
    requests = encode(setup.questions, endpoint)
    try:
        with Pool(endpoint, max(1, share.of(endpoint.connections))) as pool:
            pool.connect()
            driver = Driver(pool, requests, share, endpoint.timeout_s)
            _obey(pipe, driver, pool)
    except (_ParentGoneError, BrokenPipeError, ConnectionResetError):
        return
    except OSError as error:
        pipe.send(Failed(error.strerror or str(error)))


def _obey(pipe: Connection, driver: Driver, pool: Pool) -> None:
    orders: list[Order] = []

    def listen(_: float) -> None:
        try:
            message = pipe.recv()
        except EOFError:
            raise _ParentGoneError from None
        if isinstance(message, Order):
            orders.append(message)
        elif isinstance(message, Halt):
            driver.stop(message.end_s)

    pool.watch(pipe, listen)
    pipe.send(Ready())
    while True:
        # Between stages too, connections must answer pings and be made anew.
        pool.turn(time.monotonic() + 1)
        if orders:
            pipe.send(driver.run(orders.pop(), pipe.send))
