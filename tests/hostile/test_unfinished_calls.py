"""Calls that are begun and not ended, and callers who are slow or gone."""

import socket
import struct
import time

import pytest
from raw_http2 import QUESTION, RawConnection, framed, headers
from server_process import ServerProcess

pytestmark = pytest.mark.usefixtures("unharmed")
CALLS = 200


def test_headers_without_a_message_take_no_place(attacked: ServerProcess) -> None:
    with RawConnection(attacked.address) as connection:
        streams = [connection.begin() for _ in range(CALLS)]

        attacked.check_answers()
        for stream in streams:  # and they still can be made whole
            connection.send(stream, framed(QUESTION))
        assert {connection.answer(stream).grpc_status for stream in streams} == {0}


@pytest.mark.parametrize("body", [b"", b"\0\0", framed(QUESTION)[:-1]])
def test_truncated_messages_take_no_place(attacked: ServerProcess, body: bytes) -> None:
    with RawConnection(attacked.address) as connection:
        for _ in range(CALLS):
            connection.send(connection.begin(), body)

        assert connection.ask().item_ids()
        attacked.check_answers()


def test_a_message_that_drips_in_byte_by_byte_is_answered(attacked: ServerProcess) -> None:
    with RawConnection(attacked.address) as connection:
        stream, message = connection.begin(), framed(QUESTION)
        for place in range(len(message)):
            time.sleep(0.005)
            is_last = place == len(message) - 1
            connection.send(stream, message[place : place + 1], end_stream=is_last)

        assert connection.answer(stream).grpc_status == 0


def test_a_connection_that_drips_in_byte_by_byte_is_answered(attacked: ServerProcess) -> None:
    with RawConnection(attacked.address) as connection:
        connection.h2.send_headers(1, headers())
        connection.h2.send_data(1, framed(QUESTION), end_stream=True)
        for byte in connection.h2.data_to_send():
            time.sleep(0.001)
            connection.socket.sendall(bytes([byte]))

        assert connection.answer(1).grpc_status == 0


def test_a_caller_that_ends_its_half_is_answered_or_let_go(attacked: ServerProcess) -> None:
    with RawConnection(attacked.address) as connection:
        stream = connection.begin()
        connection.send(stream, framed(QUESTION))
        connection.socket.shutdown(socket.SHUT_WR)

        connection.wait_for_end()


def test_callers_who_vanish_leave_nothing_behind(attacked: ServerProcess) -> None:
    before = attacked.open_files()
    for _ in range(CALLS):
        with RawConnection(attacked.address) as connection:
            connection.send(connection.begin(), framed(QUESTION))
            linger = struct.pack("ii", 1, 0)
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    attacked.wait_for_files(before)
