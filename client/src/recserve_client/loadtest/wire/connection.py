"""A client connection of HTTP/2 that sends prepared gRPC calls at little cost.

Of an answer only frames and the final status are looked at. A call is OK if its status is and a
message came. Bodies of one frame leave whole, as soon as the windows of connection and stream have
room; larger ones leave in parts, as far as both windows allow.
"""

import math
import struct
from collections.abc import Callable
from typing import Final

from . import frames
from .calls import Call, EncodedCall
from .frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEAD,
    HEADERS,
    MAX_FRAME_BYTES,
    PADDED,
    PRIORITY,
    SETTINGS,
    frame,
)
from .statuses import HeaderBlockError, final_status, http_status
from .transport import Transport
from .uploads import Uploads
from .wiring import Wiring

_GRANT_EVERY_BYTES: Final = 2**20
_LAST_STREAM: Final = 2**31 - 2**20  # ids end soon after it
_STATUS_200: Final = 0x88
_HEADERS_SHAPE: Final = END_HEADERS | PADDED | PRIORITY


class LostError(Exception):
    """A connection that is over; `status` is how its calls end."""

    def __init__(self, text: str, status: str = "CONNECTION_LOST") -> None:
        """Says why."""
        super().__init__(text)
        self.status = status


class Connection:
    """One connection; the caller waits for its socket and passes the time."""

    def __init__(self, transport: Transport, wiring: Wiring) -> None:
        """Takes a transport that may still be connecting."""
        self.transport = transport
        self.on_ready: Callable[[float], None] = lambda now_s: None
        """Called with the time when its socket is ready."""
        self.events = 0
        """What its socket is watched for."""
        self.is_over = False
        self.is_ready = False
        """Whether the server has said how many streams it allows."""
        self.is_going_away = False
        """Whether no new call may start; those in flight may still end."""
        self.calls: dict[int, Call] = {}
        """In flight, by stream."""
        self.dropped: list[Call] = []
        """Calls that the server let go unseen; another connection may take them."""
        self._wiring = wiring
        self._outgoing: list[bytes] = []
        self._incoming = b""
        self._next_stream, self._max_streams = 1, 0
        self._ungranted = 0
        self._uploads = Uploads()
        self._http_statuses: dict[int, str] = {}  # where it is not 200
        self._begun_headers: tuple[int, int, bytes] | None = None

    @property
    def wants_write(self) -> bool:
        """Whether it waits for its socket to take more."""
        return bool(self._outgoing) or self.transport.wants_write

    def has_room(self, request: EncodedCall) -> bool:
        """Tells whether a call may start now."""
        if len(self.calls) >= self._max_streams or self.is_going_away:
            return False
        return bool(request.large_body) or self._uploads.has_room(request.body_bytes)

    def start(self, call: Call, now_s: float) -> None:
        """Sends a call for which there is room."""
        stream = self._next_stream
        self._next_stream += 2
        if stream > _LAST_STREAM:
            self.is_going_away = True
        call.stream, call.connection = stream, self
        if call.left_s == math.inf:
            call.left_s = now_s
            self._wiring.deadlines.begin(call, now_s)
        self.calls[stream] = call
        request = call.request
        self._put(stream.to_bytes(4, "big").join(request.pieces))
        if request.large_body:
            self._put_if_any(self._uploads.begin(stream, request.large_body))
        else:
            self._uploads.window -= request.body_bytes

    def cancel(self, call: Call) -> None:
        """Tells the server that the answer is not wanted any more."""
        if self.calls.pop(call.stream, None) is not None:
            self._forget(call.stream)
            self._put(frames.reset(call.stream))

    def close(self) -> None:
        """Closes the socket."""
        self.is_over = True
        self.transport.close()

    def flush(self) -> None:
        """Writes what the socket takes."""
        if not self._outgoing:
            return
        data = b"".join(self._outgoing)
        try:
            sent = self.transport.send(data)
        except OSError:
            sent = len(data)  # the socket is readable now, and `receive` learns why
        self._outgoing = [data[sent:]] if sent < len(data) else []

    def receive(self, now_s: float) -> None:
        """Reads what is there, and goes on connecting if it must.

        Raises:
            LostError: the connection is over.
        """
        try:
            data = self.transport.receive() if self.transport.is_open else self._open()
        except OSError as error:
            raise LostError(error.strerror or str(error)) from error
        if data is None:
            return
        if not data:
            raise LostError("connection closed by the server")
        data = self._incoming + data
        try:
            self._incoming = data[self._take_frames(data, now_s) :]
        except (HeaderBlockError, struct.error, IndexError) as error:
            raise LostError(f"not HTTP/2: {error}", "PROTOCOL") from error
        if self._ungranted > _GRANT_EVERY_BYTES:
            self._put(frames.window_update(self._ungranted))
            self._ungranted = 0

    def _open(self) -> bytes | None:
        if self.transport.advance():
            self._put(frames.opening())
        return None

    def _put(self, data: bytes) -> None:
        if not self._outgoing:
            self._wiring.unflushed.append(self)
        self._outgoing.append(data)

    def _take_frames(self, data: bytes, now_s: float) -> int:
        """Acts on every whole frame; returns where they end."""
        position, size = 0, len(data)
        while size - position >= 9:
            head, flags, stream = FRAME_HEAD.unpack_from(data, position)
            start, kind = position + 9, head & 0xFF
            end = start + (head >> 8)
            if end > size or not self.is_ready:
                self._check_head(kind, end - start)
                if end > size:
                    break
            position = end
            if kind == DATA:
                self._ungranted += end - start
                self._take_part(flags, stream, data[start:end])
                if flags & END_STREAM:
                    self._finish(stream, b"", now_s)
            elif kind == HEADERS and flags & _HEADERS_SHAPE == END_HEADERS:
                self._take_headers(flags, stream, data[start:end], now_s)
            else:
                self._control((kind, flags, stream), data[start:end], now_s)
        return position

    def _check_head(self, kind: int, size: int) -> None:
        if size > MAX_FRAME_BYTES or (kind != SETTINGS and not self.is_ready):
            raise LostError("the server does not speak HTTP/2", "PROTOCOL")

    def _take_part(self, flags: int, stream: int, part: bytes) -> None:
        call = self.calls.get(stream)
        if flags & PADDED:
            part = frames.content(flags, part)
        if call is not None and part:
            call.answered = True
            if call.message is not None:
                call.message += part

    def _take_headers(self, flags: int, stream: int, block: bytes, now_s: float) -> None:
        if flags & END_STREAM:
            self._finish(stream, block, now_s)
        elif not block or block[0] != _STATUS_200:
            status = http_status(block)
            if status != "200":
                self._http_statuses[stream] = status

    def _finish(self, stream: int, last: bytes, now_s: float) -> None:
        call = self.calls.get(stream)
        if call is None:
            return
        status = final_status(last, self._http_statuses.get(stream, ""))
        if status == "OK" and not call.answered:
            status = "INTERNAL"  # as gRPC's own clients have it
        del self.calls[stream]
        if self._forget(stream):
            self._put(frames.reset(stream))
        self._wiring.end(call, status, now_s)

    def _forget(self, stream: int) -> bool:
        """Drops what is kept by stream; returns whether its body has not been sent yet."""
        self._http_statuses.pop(stream, None)
        return self._uploads.forget(stream)

    def _control(self, head: tuple[int, int, int], payload: bytes, now_s: float) -> None:
        kind, flags, stream = head
        if kind in (HEADERS, frames.CONTINUATION):
            self._join_headers(head, payload, now_s)
        elif kind == SETTINGS and not flags & ACK:
            self._settle(dict(struct.iter_unpack(">HI", payload)))
        elif kind == frames.PING and not flags & ACK:
            self._put(frame(frames.PING, ACK, 0, payload))
        elif kind == frames.WINDOW_UPDATE:
            self._put_if_any(self._uploads.grant(stream, int.from_bytes(payload, "big")))
        elif kind == frames.RST_STREAM and (call := self.calls.pop(stream, None)) is not None:
            self._forget(stream)
            self._wiring.end(call, "STREAM_RESET", now_s)
        elif kind == frames.GOAWAY:
            self._go_away(int.from_bytes(payload[:4], "big"))

    def _join_headers(self, head: tuple[int, int, int], payload: bytes, now_s: float) -> None:
        """Puts a header block together that is padded, or comes in several frames."""
        kind, flags, stream = head
        if kind == HEADERS:
            self._begun_headers = (stream, flags, frames.content(flags, payload))
        elif self._begun_headers is None or self._begun_headers[0] != stream:
            raise LostError("headers go on that did not begin", "PROTOCOL")
        else:
            _, first_flags, block = self._begun_headers
            self._begun_headers = (stream, first_flags, block + payload)
        if flags & END_HEADERS:
            stream, first_flags, block = self._begun_headers
            self._begun_headers = None
            self._take_headers(first_flags, stream, block, now_s)

    def _settle(self, settings: dict[int, int]) -> None:
        unlimited = frames.LARGEST_WINDOW
        self._max_streams = settings.get(frames.MAX_STREAMS, self._max_streams or unlimited)
        self.is_ready = True
        self._put(frame(SETTINGS, ACK, 0, b""))
        if frames.INITIAL_WINDOW in settings:
            window = settings[frames.INITIAL_WINDOW]
            self._put_if_any(self._uploads.resize_streams(window))

    def _put_if_any(self, data: bytes) -> None:
        if data:
            self._put(data)

    def _go_away(self, last_stream: int) -> None:
        self.is_going_away = True
        for stream in [stream for stream in self.calls if stream > last_stream]:
            call = self.calls.pop(stream)
            self._forget(stream)
            call.connection, call.answered = None, False
            self.dropped.append(call)
