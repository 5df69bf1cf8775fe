"""A client connection of HTTP/2 that sends one gRPC request over and over, at little cost.

Of an answer only its frames are looked at, not its message: with a message (DATA) it counts as
accepted, without one (only headers) as refused.
"""

import socket
import struct
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final

from http2_frames import (
    ACK,
    DATA,
    END_STREAM,
    FIRST_WINDOW,
    FRAME_HEAD,
    GOAWAY,
    HEADERS,
    LARGEST_WINDOW,
    MAX_STREAMS,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Request,
    frame,
    grpc_status,
    opening,
    request_parts,
    window_update,
)

_GRANT_EVERY_BYTES: Final = 2**20


@dataclass(slots=True)
class Outcomes:
    """How the requests ended; times are seconds on the caller's clock."""

    accepted: list[tuple[float, float]] = field(default_factory=list)
    """(intended, answered) of each request that got a message."""
    refused: list[tuple[float, float, str]] = field(default_factory=list)
    """(intended, answered, grpc-status) of each that got none; the status is "" if not seen."""
    failed: Counter[str] = field(default_factory=Counter)
    """Requests whose stream or connection broke, by reason."""


class Connection:
    """One client connection; the caller waits for its socket and passes the time."""

    def __init__(self, host: str, port: int, request: Request, outcomes: Outcomes) -> None:
        """Connects.

        Raises:
            OSError: it cannot.
        """
        self.socket = socket.create_connection((host, port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self._parts = request_parts(request, f"{host}:{port}")
        self._body_bytes = len(request.body)
        self._outcomes = outcomes
        self._outgoing = [opening()]
        self._incoming = b""
        self._asked: dict[int, float] = {}
        self._answering: set[int] = set()
        self._waiting: deque[float] = deque()
        self._next_stream, self._max_streams = 1, 0  # streams wait for the server's SETTINGS
        self._window, self._ungranted = FIRST_WINDOW, 0
        self._closed = ""

    @property
    def unanswered(self) -> int:
        """Requests that have no answer yet, sent or not."""
        return len(self._asked) + len(self._waiting)

    @property
    def has_outgoing(self) -> bool:
        """Whether `flush` has something to write."""
        return bool(self._outgoing)

    def ask(self, intended_s: float) -> None:
        """Puts one more request out; it waits here while the server allows no more."""
        if self._closed:
            self._outcomes.failed[self._closed] += 1
        elif self._waiting or not self._may_start():
            self._waiting.append(intended_s)
        else:
            self._start(intended_s)

    def flush(self) -> bool:
        """Writes what the socket takes; returns whether that was all."""
        data = b"".join(self._outgoing)
        try:
            sent = self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._lose(f"connection lost: {error.strerror}")
            return True
        self._outgoing = [data[sent:]] if sent < len(data) else []
        return not self._outgoing

    def receive(self, now_s: float) -> bool:
        """Reads what is there; returns False once the connection is over."""
        try:
            data = self._incoming + self.socket.recv(2**18)
        except BlockingIOError:
            return True
        except OSError as error:
            self._lose(f"connection lost: {error.strerror}")
            return False
        if len(data) == len(self._incoming):
            self._lose("connection closed by the server")
            return False
        self._incoming = data[self._take_frames(data, now_s) :]
        if self._ungranted > _GRANT_EVERY_BYTES:
            self._outgoing.append(window_update(self._ungranted))
            self._ungranted = 0
        while self._waiting and self._may_start():
            self._start(self._waiting.popleft())
        return True

    def _take_frames(self, data: bytes, now_s: float) -> int:
        """Acts on every whole frame; returns where they end."""
        position, size = 0, len(data)
        while size - position >= 9:
            head, flags, stream = FRAME_HEAD.unpack_from(data, position)
            start, kind = position + 9, head & 0xFF
            end = start + (head >> 8)
            if end > size:
                break
            position = end
            if kind == DATA:
                self._ungranted += end - start
                if end > start:
                    self._answering.add(stream)
            elif kind != HEADERS:
                self._control(kind, flags, stream, data[start:end])
                continue
            if flags & END_STREAM:
                self._finish(stream, now_s, data[start:end])
        return position

    def _may_start(self) -> bool:
        return len(self._asked) < self._max_streams and self._window >= self._body_bytes

    def _start(self, intended_s: float) -> None:
        stream = self._next_stream
        self._next_stream += 2
        self._window -= self._body_bytes
        self._asked[stream] = intended_s
        headers, body, ends = self._parts
        number = stream.to_bytes(4, "big")
        self._outgoing.append(b"".join((headers, number, body, number, ends)))

    def _finish(self, stream: int, now_s: float, last: bytes) -> None:
        intended_s = self._asked.pop(stream, None)
        if intended_s is None:
            return
        if stream in self._answering:
            self._answering.discard(stream)
            self._outcomes.accepted.append((intended_s, now_s))
        else:
            self._outcomes.refused.append((intended_s, now_s, grpc_status(last)))

    def _control(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags & ACK:
            settings = dict(struct.iter_unpack(">HI", payload))
            self._max_streams = settings.get(MAX_STREAMS, self._max_streams or LARGEST_WINDOW)
            self._outgoing.append(frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self._outgoing.append(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload, "big")
        elif kind == RST_STREAM and self._asked.pop(stream, None) is not None:
            self._answering.discard(stream)
            code = int.from_bytes(payload, "big")
            self._outcomes.failed[f"stream reset with code {code}"] += 1
        elif kind == GOAWAY:
            self._go_away(int.from_bytes(payload[:4], "big"))

    def _go_away(self, last_stream: int) -> None:
        self._closed = "server went away"
        dropped = [stream for stream in self._asked if stream > last_stream]
        for stream in dropped:
            del self._asked[stream]
        self._outcomes.failed[self._closed] += len(dropped) + len(self._waiting)
        self._waiting.clear()

    def _lose(self, reason: str) -> None:
        self._closed = self._closed or reason
        self._outcomes.failed[reason] += self.unanswered
        self._asked.clear()
        self._waiting.clear()
        self._outgoing.clear()
