"""Callers who ask and do not read."""

import time

import pytest
from h2.settings import SettingCodes
from raw_http2 import QUESTION, RawConnection, framed
from server_process import ServerProcess

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("unharmed")]


def test_answers_wait_for_a_window_and_hold_up_nobody(attacked: ServerProcess) -> None:
    with RawConnection(attacked.address) as connection:
        connection.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
        connection.flush()
        streams = [connection.begin() for _ in range(200)]
        for stream in streams:
            connection.send(stream, framed(QUESTION))

        attacked.check_answers()
        connection.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 65_535})
        connection.flush()
        assert {connection.answer(stream).grpc_status for stream in streams} == {0}


# A connection whose answers wait holds 2 to 6 MiB, whether it has asked 3,000 or 50,000 times.
@pytest.mark.parametrize(("connections", "calls"), [(1, 2000), (5, 20_000)])
def test_answers_that_nobody_reads_do_not_pile_up(
    attacked: ServerProcess, connections: int, calls: int
) -> None:
    callers = [RawConnection(attacked.address) for _ in range(connections)]
    for caller in callers:
        caller.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
        caller.flush()
        caller.socket.settimeout(2.0)
        caller.sends_or_is_cut_off(caller.burst(calls, resets=False))

    attacked.wait_until_well()
    time.sleep(0.2)  # `unharmed` looks at the memory: all of it shall have been read
    for caller in callers:
        caller.socket.close()
