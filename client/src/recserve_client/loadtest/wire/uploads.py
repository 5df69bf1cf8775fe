"""What may be sent: windows (RFC 9113, 5.2), and bodies too large to go whole."""

from dataclasses import dataclass

from .frames import DATA, END_STREAM, FIRST_WINDOW, MAX_FRAME_BYTES, frame


@dataclass(slots=True)
class _Upload:
    rest: memoryview
    window: int


class Uploads:
    """The sending side of flow control."""

    def __init__(self) -> None:
        """Begins with the windows that every peer grants."""
        self.window = FIRST_WINDOW
        """Bytes that may be sent on the connection."""
        self._stream_window = FIRST_WINDOW
        self._begun: dict[int, _Upload] = {}

    def has_room(self, body_bytes: int) -> bool:
        """Tells whether a body on a new stream may go whole."""
        return body_bytes <= self.window and body_bytes <= self._stream_window

    def begin(self, stream: int, body: bytes) -> bytes:
        """Takes a body over; returns the frames of it that may go now."""
        self._begun[stream] = _Upload(memoryview(body), self._stream_window)
        return self._proceed()

    def grant(self, stream: int, size: int) -> bytes:
        """Widens a window, that of the connection if the stream is 0; returns what may go now."""
        if stream == 0:
            self.window += size
        elif stream in self._begun:
            self._begun[stream].window += size
        return self._proceed()

    def resize_streams(self, window: int) -> bytes:
        """Takes a new first window of streams, open ones included; returns what may go now."""
        for upload in self._begun.values():
            upload.window += window - self._stream_window
        self._stream_window = window
        return self._proceed()

    def forget(self, stream: int) -> bool:
        """Drops the rest of a body; returns whether there was one."""
        return self._begun.pop(stream, None) is not None

    def _proceed(self) -> bytes:
        sent: list[bytes] = []
        for stream, upload in list(self._begun.items()):
            while (size := min(len(upload.rest), MAX_FRAME_BYTES, self.window, upload.window)) > 0:
                part, upload.rest = upload.rest[:size], upload.rest[size:]
                sent.append(frame(DATA, 0 if upload.rest else END_STREAM, stream, bytes(part)))
                self.window -= size
                upload.window -= size
            if not upload.rest:
                del self._begun[stream]
        return b"".join(sent)
