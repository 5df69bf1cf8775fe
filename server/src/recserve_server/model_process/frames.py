"""Python objects over a stream of bytes between two processes of ours: a length, then a pickle.

Only for a socket pair that nobody else can write to: a pickle can run code.
"""

import pickle
import struct
from collections.abc import Iterator
from typing import Final

_LENGTH: Final = struct.Struct("<Q")


def to_frame(message: object) -> bytes:
    """Returns a message ready to be sent."""
    encoded = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(encoded)) + encoded


class FrameReader:
    """Puts messages together again from what arrives, in whatever pieces."""

    def __init__(self) -> None:
        self._received = bytearray()

    def feed(self, received: bytes) -> Iterator[object]:
        """Takes the next bytes; returns the messages that they complete."""
        self._received += received
        while len(self._received) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._received)
            end = _LENGTH.size + size
            if len(self._received) < end:
                return
            with memoryview(self._received) as view:
                message = pickle.loads(view[_LENGTH.size : end])
            del self._received[:end]
            yield message
