"""A caller that says over HTTP/2 what no gRPC library would: by h2, and by bytes of its own."""

import contextlib
import functools
import socket
import struct
from collections import defaultdict
from collections.abc import Callable
from typing import Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from hpack import Encoder

from recserve.v1 import recommendation_service_pb2 as pb

RECOMMEND = "/recserve.v1.RecommendationService/Recommend"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PING, WINDOW_UPDATE, CONTINUATION = 6, 8, 9
END_STREAM = ACK = 1
END_HEADERS = 4
QUESTION = pb.RecommendRequest(user_id="u0", k=3).SerializeToString()


def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    """Encodes an HTTP/2 frame of whatever sense (RFC 9113, section 4.1)."""
    return struct.pack(">I", len(body))[1:] + struct.pack(">BBI", kind, flags, stream) + body


def framed(message: bytes, *, length: int | None = None, compressed: bool = False) -> bytes:
    """Puts gRPC's prefix before a message: a flag, and a length that need not be true."""
    return struct.pack(">?I", compressed, len(message) if length is None else length) + message


def headers(
    method: str = "POST", path: str = RECOMMEND, content_type: str = "application/grpc"
) -> list[tuple[str, str]]:
    """Returns what a call begins with."""
    return [
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", content_type),
        ("te", "trailers"),
    ]


class Answer:
    """What has become of a stream so far."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        """With the trailers."""
        self.body = b""
        self.is_over = False

    @property
    def grpc_status(self) -> int | None:
        """The status, None if the server sent none."""
        return int(self.headers["grpc-status"]) if "grpc-status" in self.headers else None

    def item_ids(self) -> list[str]:
        """Returns the items of a RecommendResponse."""
        return [item.item_id for item in pb.RecommendResponse.FromString(self.body[5:]).items]


class RawConnection:
    """One connection: h2 for what follows the rules, bytes past it for what does not."""

    def __init__(self, address: str, *, greets: bool = True, timeout_s: float = 20.0) -> None:
        """Connects; unless it `greets`, the server's settings are not waited for."""
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=timeout_s)
        self.h2 = H2Connection(
            H2Configuration(
                header_encoding="latin-1",
                validate_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        # Its Huffman coding takes seconds for what is meant to be too long.
        self.h2.encoder.encode = functools.partial(self.h2.encoder.encode, huffman=False)
        self.answers: defaultdict[int, Answer] = defaultdict(Answer)
        self.goaway: ErrorCodes | int | None = None
        """The reason that the server gave for ending the connection, if it gave one."""
        self.is_open = True
        self._is_greeted = False
        self.h2.initiate_connection()
        self.flush()
        while greets and not self._is_greeted:
            self.receive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        """Sends what h2 has made ready."""
        self.socket.sendall(self.h2.data_to_send())

    def sends_or_is_cut_off(self, sent: bytes) -> None:
        """Sends bytes past h2, as many as the server takes before it hangs up or stops reading."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            self.socket.sendall(sent)

    def hangs_up_on(self, sent: bytes) -> bool:
        """Sends bytes past h2, and then nothing; returns whether the server ends the connection."""
        try:
            self.socket.sendall(sent)
            while self.socket.recv(1 << 16):
                pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True

    @staticmethod
    def burst(count: int, *, resets: bool) -> bytes:
        """Encodes good calls on streams 1, 3, 5, ..., each reset at once if it `resets`.

        h2 would take longer to write them than the server to read them.
        """
        encoder = Encoder()
        first, others = encoder.encode(headers()), encoder.encode(headers())
        parts = []
        for number in range(count):
            stream = 2 * number + 1
            parts.append(frame(HEADERS, END_HEADERS, stream, others if number else first))
            parts.append(frame(DATA, END_STREAM, stream, framed(QUESTION)))
            if resets:
                parts.append(frame(RST_STREAM, 0, stream, struct.pack(">I", ErrorCodes.CANCEL)))
        return b"".join(parts)

    def begin(self, *extra: tuple[str, str], end_stream: bool = False, **instead: str) -> int:
        """Sends headers; returns the stream. `instead` replaces method, path or content_type."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [*headers(**instead), *extra], end_stream=end_stream)
        self.flush()
        return stream

    def send(self, stream: int, body: bytes, *, end_stream: bool = True) -> None:
        """Sends a body as far as the server takes it, waiting for its windows."""
        while self.is_open and not self.answers[stream].is_over:
            most = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if len(body) <= most:
                self.h2.send_data(stream, body, end_stream=end_stream)
                self.flush()
                return
            self.h2.send_data(stream, body[:most])
            self.flush()
            body = body[most:]
            if not self.h2.local_flow_control_window(stream):
                self.receive()

    def ask(self, *extra: tuple[str, str], body: bytes | None = None, **instead: str) -> Answer:
        """Makes a call, a good one by default, and waits for what becomes of it."""
        stream = self.begin(*extra, **instead)
        self.send(stream, framed(QUESTION) if body is None else body)
        return self.answer(stream)

    def answer(self, stream: int) -> Answer:
        """Waits until a stream is over; raises ConnectionError if the connection ends first."""
        self._receive_until(lambda: self.answers[stream].is_over or not self.is_open)
        if not self.answers[stream].is_over:
            raise ConnectionError("the connection ended before the stream did")
        return self.answers[stream]

    def wait_for_end(self) -> None:
        """Waits until the server hangs up."""
        self._receive_until(lambda: not self.is_open)

    def receive(self) -> None:
        """Waits for bytes and notes what they say."""
        try:
            received = self.socket.recv(1 << 16)
        except ConnectionError:
            received = b""
        if not received:
            self.is_open = False
            return
        for event in self.h2.receive_data(received):
            self._note(event)
        with contextlib.suppress(ConnectionError):  # what it said before it hung up still counts
            self.flush()

    def _receive_until(self, is_enough: Callable[[], bool]) -> None:
        while not is_enough():
            self.receive()

    def _note(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self.goaway = event.error_code
        elif isinstance(event, RemoteSettingsChanged):
            self._is_greeted = True
        elif isinstance(event, ResponseReceived | TrailersReceived):
            self.answers[event.stream_id].headers.update(dict(event.headers))
        elif isinstance(event, DataReceived):
            self.answers[event.stream_id].body += event.data
            if event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded | StreamReset):
            self.answers[event.stream_id].is_over = True
