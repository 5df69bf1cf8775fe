"""Frames of HTTP/2 (RFC 9113) as bytes."""

import struct
from typing import Final

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0,
    1,
    3,
    4,
    6,
    7,
    8,
    9,
)
"""Frame types."""
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32
"""Flags; which of the first two it is follows from the frame type."""
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_STREAMS, INITIAL_WINDOW = 1, 2, 3, 4
"""Settings."""
CANCEL: Final = 8
"""Error code: the answer is not wanted any more."""
FRAME_HEAD: Final = struct.Struct(">IBI")
"""Length << 8 | type, flags, stream."""
MAX_FRAME_BYTES: Final = 16_384
"""Longest payload that every peer takes, and the longest that we take."""
LARGEST_WINDOW: Final = 2**31 - 1
FIRST_WINDOW: Final = 65_535
"""Bytes that a side may send on a connection, and on a stream, before it is granted more."""

_ANSWERS_WINDOW: Final = 2**24  # of all streams together, granted again as it is used


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Returns one frame."""
    return FRAME_HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def opening() -> bytes:
    """Returns what a client says first: no dynamic header table, answers of any length."""
    settings = ((HEADER_TABLE_SIZE, 0), (ENABLE_PUSH, 0), (INITIAL_WINDOW, LARGEST_WINDOW))
    payload = b"".join(struct.pack(">HI", *setting) for setting in settings)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    return preface + frame(SETTINGS, 0, 0, payload) + window_update(_ANSWERS_WINDOW)


def window_update(size: int) -> bytes:
    """Returns the frame that grants the peer `size` more bytes on the connection."""
    return frame(WINDOW_UPDATE, 0, 0, size.to_bytes(4, "big"))


def reset(stream: int) -> bytes:
    """Returns the frame that cancels a stream."""
    return frame(RST_STREAM, 0, stream, CANCEL.to_bytes(4, "big"))


def content(flags: int, payload: bytes) -> bytes:
    """Returns what a DATA or HEADERS frame holds besides padding and priority."""
    start = 1 if flags & PADDED else 0
    end = len(payload) - (payload[0] if start and payload else 0)
    return payload[start + (5 if flags & PRIORITY else 0) : max(0, end)]
