"""What is no HTTP/2, on the port that speaks nothing else."""

import random
import socket
import struct

import pytest
from raw_http2 import frame
from server_process import ServerProcess

pytestmark = pytest.mark.usefixtures("unharmed")
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(194)
GARBAGE = {
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an upgrade to HTTP/2": b"GET / HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    "TLS": TLS_HELLO,
    "all bytes": bytes(range(256)) * 40,
    "random bytes": random.Random(0).randbytes(100_000),
    "zeroes": bytes(100_000),
    "a frame without an end": PREFACE + b"\xff" * 1000,
    "a preface that goes wrong": PREFACE[:-2] + b"XX",
    "no settings first": PREFACE + frame(6, 0, 0, bytes(8)),
}


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=20)


@pytest.mark.parametrize("sent", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_hung_up_on(attacked: ServerProcess, sent: bytes) -> None:
    with connect(attacked.address) as connection:
        try:
            connection.sendall(sent)
            while connection.recv(1 << 16):
                pass
        except ConnectionError:
            pass  # as good as an end of file; a timeout is not


def test_five_hundred_callers_of_garbage_leave_nothing_behind(attacked: ServerProcess) -> None:
    before = attacked.open_files()
    for number in range(500):
        with connect(attacked.address) as connection:
            if number % 2:  # gone by a reset, without saying goodbye
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.sendall(TLS_HELLO[: number % 40])

    attacked.wait_for_files(before)
