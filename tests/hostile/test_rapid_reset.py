"""Calls that are taken back as soon as they are made (CVE-2023-44487)."""

import pytest
from raw_http2 import RawConnection
from server_process import ServerProcess

pytestmark = pytest.mark.usefixtures("unharmed")


def test_streams_that_are_opened_and_reset_cost_no_answer(attacked: ServerProcess) -> None:
    with RawConnection(attacked.address) as connection:
        for _ in range(3000):
            stream = connection.begin()
            connection.h2.reset_stream(stream)
            connection.flush()

        attacked.check_answers()


@pytest.mark.parametrize("count", [3000, pytest.param(50_000, marks=pytest.mark.long)])
def test_whole_calls_that_are_reset_at_once_are_got_over(
    attacked: ServerProcess, count: int
) -> None:
    with RawConnection(attacked.address) as connection:
        connection.socket.sendall(connection.burst(count, resets=True))

        attacked.wait_until_well()
