"""Frames of HTTP/2 (RFC 9113) as bytes, and one gRPC request made of them.

The header block (RFC 7541) uses neither the dynamic table nor Huffman codes: it is the same bytes
for every request, only the stream id differs.
"""

import struct
from dataclasses import dataclass
from typing import Final

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
"""Frame types."""
END_STREAM, ACK = 1, 1
"""Flags; which one it is follows from the frame type."""
MAX_STREAMS: Final = 3
"""Setting: streams that may be open at once."""
FRAME_HEAD: Final = struct.Struct(">IBI")
"""Length << 8 | type, flags, stream."""
LARGEST_WINDOW: Final = 2**31 - 1
FIRST_WINDOW: Final = 65_535
"""Bytes that a side may send on a connection before it is granted more."""

_ANSWERS_WINDOW: Final = 2**24  # of all streams together, granted again as it is used
_HEADER_TABLE_SIZE, _INITIAL_WINDOW = 1, 4
_END_HEADERS: Final = 4
_MAX_BODY_BYTES: Final = 16_384  # what fits one DATA frame of any peer


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked over and over."""

    path: str
    """/package.Service/Method."""
    body: bytes
    """The message behind gRPC's five bytes of framing."""
    timeout_ms: int | None = None
    """Sent as `grpc-timeout` if given."""

    def __post_init__(self) -> None:
        if not 5 <= len(self.body) <= _MAX_BODY_BYTES:
            raise ValueError(f"the request has {len(self.body)} bytes, 5 to {_MAX_BODY_BYTES} fit")


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Returns one frame."""
    return FRAME_HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def opening() -> bytes:
    """Returns what a client says first: no dynamic header table, answers of any length."""
    settings = struct.pack(">HIHI", _HEADER_TABLE_SIZE, 0, _INITIAL_WINDOW, LARGEST_WINDOW)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    return preface + frame(SETTINGS, 0, 0, settings) + window_update(_ANSWERS_WINDOW)


def window_update(size: int) -> bytes:
    """Returns the frame that grants the peer `size` more bytes on the connection."""
    return frame(WINDOW_UPDATE, 0, 0, size.to_bytes(4, "big"))


def request_parts(request: Request, authority: str) -> tuple[bytes, bytes, bytes]:
    """Returns the bytes before, between and after the two places of the stream id."""
    block = b"\x83\x86"  # POST, http
    block += b"\x04" + _text(request.path) + b"\x01" + _text(authority)
    block += b"\x0f\x10" + _text("application/grpc") + b"\x00" + _text("te") + _text("trailers")
    if request.timeout_ms is not None:
        block += b"\x00" + _text("grpc-timeout") + _text(f"{request.timeout_ms}m")
    headers = frame(HEADERS, _END_HEADERS, 0, block)
    body = frame(DATA, END_STREAM, 0, request.body)
    return headers[:5], headers[9:] + body[:5], body[9:]


def _text(text: str) -> bytes:
    if len(text) > 126:
        raise ValueError(f"{text!r} has {len(text)} characters, up to 126 fit")
    return bytes([len(text)]) + text.encode("ascii")


def grpc_status(headers: bytes) -> str:
    """Returns the value of `grpc-status` where it is written out, else ""."""
    _, found, behind = headers.partition(b"grpc-status")
    return behind[1 : 1 + behind[0]].decode("ascii", "replace") if found and behind else ""
