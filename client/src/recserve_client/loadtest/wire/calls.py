"""One gRPC call: as bytes before it leaves, and what becomes of it.

The header block (RFC 7541) uses neither the dynamic table nor Huffman codes, so that it is the
same bytes each time; only the stream id differs.
"""

import math
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final, NamedTuple, Protocol

from recserve_client.loadtest.plan import Endpoint, PlanError, Question

from .frames import DATA, END_HEADERS, END_STREAM, HEADERS, MAX_FRAME_BYTES, frame

_POST: Final = b"\x83"
_HTTP, _HTTPS = b"\x86", b"\x87"
_AUTHORITY, _PATH, _CONTENT_TYPE, _USER_AGENT = b"\x01", b"\x04", b"\x0f\x10", b"\x0f\x2b"
_OWN_NAME, _OWN_NAME_SECRET = b"\x00", b"\x10"  # the latter no proxy may keep in a table
_NAME: Final = re.compile(r"[0-9a-z_.-]+")
_VALUE: Final = re.compile(r"[ -~]*")
_RESERVED: Final = re.compile(r"grpc-.*|content-type|te|user-agent|host|connection")
_MAX_MICROSECONDS: Final = 10**8  # eight digits are allowed


class EncodedCall(NamedTuple):
    """A question as HTTP/2 has it, to be sent any number of times."""

    method: str
    """Path as in gRPC."""
    pieces: tuple[bytes, ...]
    """Joined by the stream id, they are the frames to send."""
    body_bytes: int
    """What it takes of the windows."""
    large_body: bytes
    """The body if it does not fit one frame, else empty: then it is in `pieces`."""


class Carrier(Protocol):
    """What a call is in flight on."""

    def cancel(self, call: "Call") -> None:
        """Tells the server that nobody waits for it any more."""


@dataclass(slots=True, eq=False)
class Call:
    """One call under way; times are seconds on the clock of time.monotonic."""

    request: EncodedCall
    intended_s: float
    """When it was meant to leave."""
    slot: int = 0
    """Place of a closed loop that it fills."""
    left_s: float = math.inf
    """When it left; infinite until then."""
    due_s: float = math.inf
    """When its time runs out."""
    stream: int = 0
    connection: "Carrier | None" = None
    """Where it is in flight."""
    answered: bool = False
    """Whether something of a message has come."""
    message: bytearray | None = None
    """The answer's message with its framing, if it is to be kept."""
    status: str = ""
    """How it ended: OK or other name of a gRPC status, CONNECTION_LOST, STREAM_RESET, PROTOCOL,
    NO_ANSWER; empty while it is under way."""
    ended_s: float = math.inf
    """When it ended."""


def encode(questions: Iterable[Question], endpoint: Endpoint) -> list[EncodedCall]:
    """Returns the calls that ask the questions.

    Raises:
        PlanError: a path or the metadata cannot be sent, or are too long together.
    """
    first, others = _pseudo_headers(endpoint), _other_headers(endpoint)
    return [_encode(question, first, others) for question in questions]


def literal(text: str) -> bytes:
    """Returns a string of a header block: its length (RFC 7541, 5.1) and its characters."""
    encoded = text.encode("ascii")
    size = len(encoded)
    if size < 127:
        return bytes([size]) + encoded
    head, size = b"\x7f", size - 127
    while size >= 128:
        head, size = head + bytes([size % 128 | 128]), size // 128
    return head + bytes([size]) + encoded


def _encode(question: Question, first: bytes, others: bytes) -> EncodedCall:
    if not question.method.startswith("/") or not _VALUE.fullmatch(question.method):
        raise PlanError(f"method is {question.method!r}, must be as /package.Service/Method")
    block = first + _PATH + literal(question.method) + others
    if len(block) > MAX_FRAME_BYTES:
        raise PlanError(f"metadata has {len(block)} bytes, up to {MAX_FRAME_BYTES} can be sent")
    headers = frame(HEADERS, END_HEADERS, 0, block)
    body = struct.pack(">BI", 0, len(question.message)) + question.message
    if len(body) > MAX_FRAME_BYTES:
        return EncodedCall(question.method, (headers[:5], headers[9:]), len(body), body)
    last = frame(DATA, END_STREAM, 0, body)
    pieces = (headers[:5], headers[9:] + last[:5], last[9:])
    return EncodedCall(question.method, pieces, len(body), b"")


def _pseudo_headers(endpoint: Endpoint) -> bytes:
    """Returns those of HTTP/2 itself but the path; all of them must come first."""
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    authority = f"{host}:{endpoint.port}"
    if endpoint.tls is None:
        return _POST + _HTTP + _AUTHORITY + literal(authority)
    # As gRPC does it: a proxy may look for the server by this name.
    return _POST + _HTTPS + _AUTHORITY + literal(endpoint.tls.server_name or authority)


def _other_headers(endpoint: Endpoint) -> bytes:
    agent = f"recserve-loadtest/{version('recserve-client')}"
    block = _OWN_NAME + literal("te") + literal("trailers")
    block += _CONTENT_TYPE + literal("application/grpc") + _USER_AGENT + literal(agent)
    if endpoint.timeout_s is not None:
        block += _OWN_NAME + literal("grpc-timeout") + literal(_spelt(endpoint.timeout_s))
    metadata = dict(endpoint.metadata)
    if "x-request-id" not in metadata:
        block += _OWN_NAME + literal("x-request-id") + literal("loadtest")
    for name, value in endpoint.metadata:
        if not _NAME.fullmatch(name) or _RESERVED.fullmatch(name):
            raise PlanError(
                f"metadata name is {name!r}, must be of a-z, 0-9, -, _ and ., and not of gRPC's own"
            )
        if not _VALUE.fullmatch(value):
            raise PlanError(
                f"metadata {name} has characters other than those of ASCII from ' ' to ~"
            )
        block += _OWN_NAME_SECRET + literal(name) + literal(value)
    return block


def _spelt(timeout_s: float) -> str:
    microseconds = round(timeout_s * 1e6)
    return f"{microseconds}u" if microseconds < _MAX_MICROSECONDS else f"{round(timeout_s * 1e3)}m"
