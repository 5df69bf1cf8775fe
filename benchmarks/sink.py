"""A server that costs next to nothing: answers every HTTP/2 request at once with fixed bytes.

It shows what the load tester can do by itself; prints its port, runs until it is terminated.
"""

import selectors
import socket
import struct

from recserve_client.loadtest.wire.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEAD,
    HEADERS,
    SETTINGS,
    frame,
    window_update,
)

_PREFACE_BYTES = 24
_ANSWER = (
    frame(HEADERS, END_HEADERS, 0, b"\x88")  # 200
    + frame(DATA, 0, 0, struct.pack(">BI", 0, 395) + bytes(395))
    + frame(HEADERS, END_HEADERS | END_STREAM, 0, b"\x00\x0bgrpc-status\x010")
)
_STREAM_PLACES = (5, 10 + 5, 10 + 409 + 5)  # of the stream ids in the answer


class _Peer:
    def __init__(self, connection: socket.socket) -> None:
        self._socket, self._rest, self._skipped = connection, b"", False

    def serve(self) -> bool:
        """Answers what has arrived; returns False once the peer is gone."""
        received = self._socket.recv(2**18)
        data, position, out = self._rest + received, 0, []
        if not self._skipped:
            position, self._skipped = _PREFACE_BYTES, True
            out.append(frame(SETTINGS, 0, 0, b"") + window_update(2**30))
        while len(data) - position >= 9:
            head, flags, stream = FRAME_HEAD.unpack_from(data, position)
            end = position + 9 + (head >> 8)
            if end > len(data):
                break
            position = end
            if head & 0xFF == SETTINGS and not flags & ACK:
                out.append(frame(SETTINGS, ACK, 0, b""))
            elif head & 0xFF == DATA and flags & END_STREAM:
                out.append(_answer(stream))
        self._rest = data[position:]
        self._socket.sendall(b"".join(out))
        return bool(received)


def _answer(stream: int) -> bytes:
    answer, number = bytearray(_ANSWER), stream.to_bytes(4, "big")
    for place in _STREAM_PLACES:
        answer[place : place + 4] = number
    return bytes(answer)


def main() -> None:
    """Serves on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener, selectors.DefaultSelector() as waiting:
        print(listener.getsockname()[1], flush=True)
        waiting.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is listener:
                    connection, _ = listener.accept()
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    waiting.register(connection, selectors.EVENT_READ, _Peer(connection))
                elif not key.data.serve():
                    waiting.unregister(key.fileobj)


if __name__ == "__main__":
    main()
