"""Signals: the first to stop ends a server well, the second at once; SIGHUP has it look again."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_STOP: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def signals(on_hangup: Callable[[], None]) -> Iterator[asyncio.Event]:
    """Yields an event that the first SIGTERM or SIGINT sets; the second ends the process with 1.

    Args:
        on_hangup: called at each SIGHUP.
    """
    stop = asyncio.Event()

    def on_stop() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    loop = asyncio.get_running_loop()
    for each in _STOP:
        loop.add_signal_handler(each, on_stop)
    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    try:
        yield stop
    finally:
        for each in (*_STOP, signal.SIGHUP):
            loop.remove_signal_handler(each)
