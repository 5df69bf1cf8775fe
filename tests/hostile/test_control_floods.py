"""Frames that are no calls: floods of them, and such as HTTP/2 forbids."""

import struct

import pytest
from h2.errors import ErrorCodes
from raw_http2 import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    HEADERS,
    PING,
    PRIORITY,
    SETTINGS,
    WINDOW_UPDATE,
    RawConnection,
    frame,
)
from server_process import ServerProcess

pytestmark = pytest.mark.usefixtures("unharmed")
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 4, 5
PADDED = 8
METHOD_POST = b"\x83"
POST = frame(HEADERS, END_HEADERS, 1, METHOD_POST)


def setting(key: int, value: int) -> bytes:
    return frame(SETTINGS, 0, 0, struct.pack(">HI", key, value))


def test_a_flood_of_pings_ends_its_connection(attacked: ServerProcess) -> None:
    with RawConnection(attacked.address) as connection:
        connection.socket.sendall(frame(PING, 0, 0, b"12345678") * 1000)
        connection.wait_for_end()

        assert connection.goaway == ErrorCodes.ENHANCE_YOUR_CALM


def test_a_flood_of_settings_is_got_over(attacked: ServerProcess) -> None:
    with RawConnection(attacked.address) as connection:
        # Each wants an acknowledgement, and none is read: the server must not pile them up.
        for _ in range(100):
            connection.socket.sendall(setting(INITIAL_WINDOW_SIZE, 65_535) * 1000)

        attacked.check_answers()


@pytest.mark.parametrize("kind", [CONTINUATION, DATA], ids=["CONTINUATION", "DATA"])
def test_a_flood_of_empty_frames_ends_its_connection(attacked: ServerProcess, kind: int) -> None:
    with RawConnection(attacked.address) as connection:
        flags = END_HEADERS if kind == DATA else 0
        opening = frame(HEADERS, flags, 1, METHOD_POST)

        assert connection.hangs_up_on(opening + frame(kind, 0, 1) * 100_000)


BROKEN_RULES = {
    "a window that does not grow": frame(WINDOW_UPDATE, 0, 0, bytes(4)),
    "a window beyond its bound": setting(INITIAL_WINDOW_SIZE, 2**32 - 1),
    "frames of one byte": setting(MAX_FRAME_SIZE, 1),
    "an acknowledgement of nothing": frame(SETTINGS, ACK, 0) * 10,
    "a continuation of nothing": frame(CONTINUATION, 0, 1),
    "a ping within headers": frame(HEADERS, 0, 1, METHOD_POST) + frame(PING, 0, 0, bytes(8)),
    "a ping of the wrong size": frame(PING, 0, 0, b"1"),
    "settings of the wrong size": frame(SETTINGS, 0, 0, b"1"),
    "headers of no table": frame(HEADERS, END_HEADERS, 1, b"\xff" * 50),
    "headers of place 0": frame(HEADERS, END_HEADERS, 1, b"\x80"),
}


@pytest.mark.parametrize("sent", BROKEN_RULES.values(), ids=BROKEN_RULES.keys())
def test_what_http2_forbids_ends_its_connection(attacked: ServerProcess, sent: bytes) -> None:
    with RawConnection(attacked.address) as connection:
        assert connection.hangs_up_on(sent)


IGNORED = {
    "windows without bound": frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 2**31 - 1)) * 1000,
    "priorities": frame(PRIORITY, 0, 1, bytes(4) + b"\x01") * 10_000,
    "frames of an unknown kind": frame(0xBB, 0, 0, bytes(100)) * 10_000,
    "data of no stream": frame(DATA, 0, 1, bytes(100)),
    "padding longer than its frame": POST + frame(DATA, PADDED, 1, b"\xff"),
    "a stream of the server's": frame(HEADERS, END_HEADERS, 2, METHOD_POST),
}


@pytest.mark.parametrize("sent", IGNORED.values(), ids=IGNORED.keys())
def test_what_may_be_ignored_costs_no_answer(attacked: ServerProcess, sent: bytes) -> None:
    with RawConnection(attacked.address) as connection:
        connection.sends_or_is_cut_off(sent)

        attacked.check_answers()
