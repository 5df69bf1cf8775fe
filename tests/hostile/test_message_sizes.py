"""Messages that are larger than they may be, or than they say."""

import gzip

import pytest
from raw_http2 import QUESTION, RawConnection, framed
from server_process import MIB, ServerProcess

from recserve_server.wire import LENGTH_DELIMITED, tag, varint

pytestmark = pytest.mark.usefixtures("unharmed")
OK, INVALID_ARGUMENT, RESOURCE_EXHAUSTED, INTERNAL = 0, 3, 8, 13
UNKNOWN_FIELD = 1000
GZIP = ("grpc-encoding", "gzip")


@pytest.mark.parametrize("size", [MIB + 1, 4 * MIB])
def test_a_message_above_the_limit_is_refused(attacked: ServerProcess, size: int) -> None:
    with RawConnection(attacked.address) as connection:
        assert connection.ask(body=framed(bytes(size))).grpc_status == RESOURCE_EXHAUSTED
        assert connection.ask().grpc_status == OK


def test_a_message_at_the_limit_is_looked_at(attacked: ServerProcess) -> None:
    before = QUESTION + tag(UNKNOWN_FIELD, LENGTH_DELIMITED)
    rest = MIB - len(before) - len(varint(MIB // 2))
    message = before + varint(rest) + bytes(rest)
    assert len(message) == MIB
    with RawConnection(attacked.address) as connection:
        assert connection.ask(body=framed(message)).item_ids()


def test_four_gigabytes_that_are_only_announced_are_refused(attacked: ServerProcess) -> None:
    with RawConnection(attacked.address) as connection:
        stream = connection.begin()
        connection.send(stream, framed(b"x", length=2**32 - 1), end_stream=False)

        assert connection.answer(stream).grpc_status == RESOURCE_EXHAUSTED


@pytest.mark.parametrize("size", [20_000_000, pytest.param(500_000_000, marks=pytest.mark.long)])
def test_a_gzip_bomb_does_not_go_off(attacked: ServerProcess, size: int) -> None:
    bomb = gzip.compress(bytes(size), compresslevel=1)
    assert len(bomb) < 4 * MIB
    with RawConnection(attacked.address) as connection:
        for _ in range(3):
            answer = connection.ask(GZIP, body=framed(bomb, compressed=True))
            assert answer.grpc_status == RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", framed(b"no gzip", compressed=True)),
        ("gzip", framed(gzip.compress(QUESTION, mtime=0)[:-9], compressed=True)),
        ("deflate", framed(b"no deflate", compressed=True)),
        ("identity", framed(QUESTION, compressed=True)),
        ("brotli", framed(QUESTION, compressed=True)),
    ],
    ids=["no gzip", "gzip cut off", "no deflate", "identity", "unknown"],
)
def test_what_does_not_decompress_is_refused_by_grpc_itself(
    attacked: ServerProcess, encoding: str, body: bytes
) -> None:
    with RawConnection(attacked.address) as connection:
        assert connection.ask(("grpc-encoding", encoding), body=body).grpc_status == INTERNAL
        assert connection.ask().grpc_status == OK


def test_a_good_message_may_be_compressed(attacked: ServerProcess) -> None:
    with RawConnection(attacked.address) as connection:
        body = framed(gzip.compress(QUESTION), compressed=True)
        assert connection.ask(GZIP, body=body).item_ids()


@pytest.mark.parametrize("flag", [2, 255])
def test_an_unknown_flag_before_a_message_gets_no_answer(
    attacked: ServerProcess, flag: int
) -> None:
    with RawConnection(attacked.address) as connection:
        stream = connection.begin()
        connection.send(stream, bytes([flag]) + framed(QUESTION)[1:])

        # gRPC sends a status or none at all, as it happens.
        assert connection.ask().item_ids()
        assert not connection.answers[stream].body
