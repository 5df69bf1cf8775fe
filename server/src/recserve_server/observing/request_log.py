"""The request log: a sample of calls as JSON lines, written by a thread of its own.

A call costs a hash if it is not in the sample, and a place in a queue if it is. A disk that is
slow, full or read-only costs lines, which are counted, never a call.
"""

import logging
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable
from typing import Final

from google.protobuf.message import Message

from recserve_server.calls.call import Call, Ended, Metadata
from recserve_server.config import ObservingConfig
from recserve_server.observing.exchange import is_ours
from recserve_server.observing.log_lines import Entry, line_of
from recserve_server.observing.rotating_file import RotatingFile
from recserve_server.stats import RequestLogStats

_log = logging.getLogger(__name__)
_MOST_PENDING_BYTES: Final = 64 << 20
_ENTRY_BYTES: Final = 2000
"""What an entry takes besides its messages."""
_RETRY_S: Final = 1.0
_HASHES: Final = 1 << 32


def is_sampled(request_id: str, share: float) -> bool:
    """Tells whether a call is in a sample, by its request id alone.

    All servers choose the same ids, and a larger share includes a smaller one: a call that was sent
    again or to two servers is in the logs of both, or of none.
    """
    return zlib.crc32(request_id.encode()) < share * _HASHES


class RequestLog:
    """A `CallObserver` that writes calls down."""

    def __init__(self, config: ObservingConfig, *, clock: Callable[[], float] = time.time) -> None:
        """Opens the file and starts the thread; `clock` tells Unix time.

        Raises:
            ValueError: there is no file to write to; the text says why.
        """
        if config.request_log is None:
            raise ValueError("the request log needs request_log, which says where it is")
        self.stats = RequestLogStats()
        """What became of lines."""
        self._config, self._clock = config, clock
        try:
            self._file = RotatingFile(config.request_log, config.request_log_max_bytes)
        except OSError as error:
            reason = f"cannot write the request log {config.request_log}: {error.strerror}"
            raise ValueError(reason) from error
        self._entries: deque[tuple[Entry, int]] = deque()
        self._pending_bytes = 0
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="request-log", daemon=True)
        self._thread.start()

    def started(self, call: Call, metadata: Metadata) -> None:
        """Has nothing to do."""

    def ended(self, call: Call, ended: Ended) -> None:
        """Lets the call be written, if it is in the sample."""
        if not is_ours(call.method):
            return
        if not is_sampled(call.request_id, self._config.request_log_share):
            return
        size = _ENTRY_BYTES + _size(ended.request) + _size(ended.response)
        with self._changed:
            if self._pending_bytes + size > _MOST_PENDING_BYTES or self._closed:
                self.stats.overrun += 1
                return
            self._entries.append((Entry(self._clock(), call, ended), size))
            self._pending_bytes += size
            self._changed.notify()

    def close(self, timeout_s: float = 5.0) -> None:
        """Writes what is left, for `timeout_s` at the most; blocks meanwhile."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout_s)

    def _work(self) -> None:
        failed_s: float | None = None
        while (entry := self._next()) is not None:
            if failed_s is not None and time.monotonic() - failed_s < _RETRY_S:
                self.stats.failed += 1  # a full disk is not asked again for every line
                continue
            is_new, failed_s = failed_s is None, self._write(entry)
            if failed_s is not None:
                self.stats.failed += 1
            elif not is_new:
                _log.warning("the request log is written again")
        self._file.close()

    def _write(self, entry: Entry) -> float | None:
        """Writes a line; returns when it failed, if it did."""
        line = line_of(entry, is_personal=self._config.request_log_personal)
        try:
            self._file.write(line)
        except OSError as error:
            reason = {"reason": error.strerror or str(error)}
            _log.error("the request log cannot be written, lines are dropped", extra=reason)
            return time.monotonic()
        self.stats.written += 1
        return None

    def _next(self) -> Entry | None:
        with self._changed:
            while not self._entries:
                if self._closed:
                    return None
                self._changed.wait()
            entry, size = self._entries.popleft()
            self._pending_bytes -= size
            return entry


def _size(message: object) -> int:
    if isinstance(message, bytes):
        return len(message)
    return message.ByteSize() if isinstance(message, Message) else 0
