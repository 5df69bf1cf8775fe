"""A peer of HTTP/2 whose every byte a test decides."""

import socket
import struct
import time

import hpack
from engine import ASK
from test_wire_calls import frames

from recserve_client.loadtest.plan import Endpoint, Question
from recserve_client.loadtest.wire.calls import Call, encode
from recserve_client.loadtest.wire.frames import (
    ACK,
    DATA,
    END_HEADERS,
    HEADERS,
    PING,
    SETTINGS,
    frame,
)
from recserve_client.loadtest.wire.pool import Pool

Frame = tuple[int, int, int, bytes]
LONG_S = 30.0
OK = b"\0\x0bgrpc-status\x010"
MESSAGE = struct.pack(">BI", 0, 4) + b"text"


class Peer:
    """Both ends of one connection."""

    def __init__(self, pool: Pool, listener: socket.socket) -> None:
        self.pool, self.listener = pool, listener
        pool.turn(time.monotonic())
        self.socket, _ = listener.accept()
        self._unread = b""
        self.received: list[Frame] = []

    def settle(self, *settings: tuple[int, int]) -> None:
        payload = b"".join(struct.pack(">HI", *each) for each in settings)
        self.tell(frame(SETTINGS, 0, 0, payload))

    def tell(self, data: bytes) -> list[Call]:
        """Sends, and returns the calls that ended by it."""
        self.socket.sendall(data)
        self.sync()
        return self.pool.take_ended()

    def sync(self) -> None:
        """Reads all that the pool sends up to its answer to a ping."""
        self.socket.sendall(frame(PING, 0, 0, b"pingpong"))
        self.socket.setblocking(False)
        give_up_s = time.monotonic() + LONG_S
        while frame(PING, ACK, 0, b"pingpong") not in self._unread:
            assert time.monotonic() < give_up_s
            self.pool.turn(time.monotonic() + 0.01)
            try:
                self._unread += self.socket.recv(2**20)
            except BlockingIOError:
                continue
        self.socket.setblocking(True)
        unread = self._unread.removeprefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.received += [each for each in frames(unread) if each[0] not in (PING, SETTINGS)]
        self._unread = b""

    def ask(self, message: bytes = b"abc") -> Call:
        endpoint = Endpoint(host="127.0.0.1", port=1)
        [request] = encode([Question(ASK.method, message)], endpoint)
        call = Call(request, time.monotonic())
        self.pool.ask(call, time.monotonic())
        return call

    def body_bytes(self) -> dict[int, int]:
        """Body bytes that came, by stream."""
        found: dict[int, int] = {}
        for kind, _, stream, payload in self.received:
            if kind == DATA:
                found[stream] = found.get(stream, 0) + len(payload)
        return found


def headers(stream: int, block: bytes, flags: int = END_HEADERS) -> bytes:
    return frame(HEADERS, flags, stream, block)


def data(stream: int, payload: bytes = MESSAGE, flags: int = 0) -> bytes:
    return frame(DATA, flags, stream, payload)


def huffman(*pairs: tuple[str, str]) -> bytes:
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    return encoder.encode(pairs)
