"""Against a peer that is the test itself, and may say what no real server would."""

import socket
import struct
import time
from collections.abc import Iterator

import pytest
from peers import LONG_S, MESSAGE, OK, Peer, data, headers, huffman

from recserve_client.loadtest.plan import Endpoint
from recserve_client.loadtest.wire.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    INITIAL_WINDOW,
    MAX_STREAMS,
    PADDED,
    PING,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    window_update,
)
from recserve_client.loadtest.wire.pool import Pool


@pytest.fixture
def unsettled() -> Iterator[Peer]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = Endpoint(host="127.0.0.1", port=listener.getsockname()[1], timeout_s=LONG_S)
        with Pool(endpoint, 1) as pool:
            peer = Peer(pool, listener)
            with peer.socket:
                yield peer


@pytest.fixture
def peer(unsettled: Peer) -> Peer:
    unsettled.settle()
    return unsettled


def test_a_ping_is_answered(peer: Peer) -> None:
    peer.socket.sendall(frame(PING, 0, 0, b"12345678"))
    peer.socket.settimeout(LONG_S)
    peer.pool.turn(time.monotonic() + LONG_S)
    peer.pool.turn(time.monotonic())

    assert frame(PING, ACK, 0, b"12345678") in peer.socket.recv(2**16)


def test_trailers_that_are_huffman_coded_are_read(peer: Peer) -> None:
    good, bad = peer.ask(), peer.ask()
    first = headers(1, huffman((":status", "200"), ("content-type", "application/grpc")))
    ended = peer.tell(
        first
        + data(1)
        + headers(1, huffman(("grpc-status", "0")), END_HEADERS | END_STREAM)
        + headers(3, huffman((":status", "200"), ("grpc-status", "8")), END_HEADERS | END_STREAM)
    )

    assert ended == [good, bad]
    assert [call.status for call in ended] == ["OK", "RESOURCE_EXHAUSTED"]


def test_headers_may_be_padded_prioritised_and_in_parts(peer: Peer) -> None:
    call = peer.ask()
    flags = PADDED | PRIORITY | END_STREAM
    padded = b"\x03" + b"prio!" + OK[:5] + b"\0\0\0"
    ended = peer.tell(
        headers(1, b"\x88")
        + data(1, b"\x02" + MESSAGE + b"\0\0", PADDED)
        + headers(1, padded, flags)
        + frame(CONTINUATION, 0, 1, OK[5:9])
        + frame(CONTINUATION, END_HEADERS, 1, OK[9:])
    )

    assert ended == [call]
    assert call.status == "OK"


def test_a_kept_message_is_put_together_without_padding(peer: Peer) -> None:
    call = peer.ask()
    call.message = bytearray()
    peer.tell(
        headers(1, b"\x88")
        + data(1, MESSAGE[:3])
        + data(1, b"\x01" + MESSAGE[3:] + b"\0", PADDED)
        + headers(1, OK, END_HEADERS | END_STREAM)
    )

    assert bytes(call.message) == MESSAGE


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (headers(1, b"\x88") + headers(1, OK, END_HEADERS | END_STREAM), "INTERNAL"),
        (headers(1, b"\x88") + data(1, flags=END_STREAM), "UNKNOWN"),
        (headers(1, huffman((":status", "503"))) + data(1, b"", END_STREAM), "UNAVAILABLE"),
        (headers(1, huffman((":status", "401")), END_HEADERS | END_STREAM), "UNAUTHENTICATED"),
        (frame(RST_STREAM, 0, 1, bytes(4)), "STREAM_RESET"),
    ],
    ids=["no message", "no trailers", "proxy's page", "proxy's refusal", "reset"],
)
def test_an_odd_answer_is_no_ok(peer: Peer, answer: bytes, status: str) -> None:
    call = peer.ask()

    assert peer.tell(answer) == [call]
    assert call.status == status


@pytest.mark.parametrize(
    "said",
    [
        headers(1, b"\xff\xff\xff\xff", END_HEADERS | END_STREAM),
        frame(CONTINUATION, END_HEADERS, 1, OK),
        b"\xff\xff\xff\0\0\0\0\0\1",
        frame(SETTINGS, 0, 0, b"odd"),
    ],
    ids=["block", "continuation", "length", "settings"],
)
def test_nonsense_ends_the_calls_and_the_connection(peer: Peer, said: bytes) -> None:
    call = peer.ask()
    peer.socket.sendall(said)
    give_up_s = time.monotonic() + LONG_S
    while not call.status and time.monotonic() < give_up_s:
        peer.pool.turn(time.monotonic() + 0.1)

    assert call.status == "PROTOCOL"
    late = peer.ask()
    assert late.status == "CONNECTION_LOST"
    assert peer.pool.take_ended() == [call, late]


def test_a_server_of_http_1_is_told(unsettled: Peer) -> None:
    unsettled.socket.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with pytest.raises(ConnectionError, match="the server does not speak HTTP/2"):
        unsettled.pool.connect()


def test_calls_wait_for_the_streams_that_the_server_allows(unsettled: Peer) -> None:
    unsettled.settle((MAX_STREAMS, 2))
    calls = [unsettled.ask() for _ in range(3)]
    unsettled.sync()

    assert set(unsettled.body_bytes()) == {1, 3}
    unsettled.tell(headers(1, huffman(("grpc-status", "5")), END_HEADERS | END_STREAM))
    unsettled.sync()
    assert set(unsettled.body_bytes()) == {1, 3, 5}
    assert [call.status for call in calls] == ["NOT_FOUND", "", ""]


@pytest.mark.parametrize(("granted", "expected"), [(0, 4), (15_000, 5)])
def test_calls_wait_for_the_window_that_the_server_grants(
    peer: Peer, granted: int, expected: int
) -> None:
    for _ in range(10):
        peer.ask(bytes(15_995))
    if granted:
        peer.tell(window_update(granted))
    peer.sync()

    assert peer.pool.under_way == 10
    assert list(peer.body_bytes().values()) == [16_000] * expected  # 65,535 may go at first


def test_a_large_body_goes_as_far_as_both_windows_allow(peer: Peer) -> None:
    peer.ask(bytes(199_995))
    peer.sync()
    assert peer.body_bytes() == {1: 65_535}

    peer.tell(window_update(100_000))
    assert peer.body_bytes() == {1: 65_535}

    peer.tell(frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 50_000)))
    assert peer.body_bytes() == {1: 115_535}

    # A larger first window is granted to open streams as well.
    peer.settle((INITIAL_WINDOW, 1_000_000))
    assert peer.body_bytes() == {1: 165_535}

    peer.tell(window_update(100_000))
    assert peer.body_bytes() == {1: 200_000}
    bodies = [each for each in peer.received if each[0] == DATA]
    assert max(len(payload) for *_, payload in bodies) == 16_384
    assert [flags for _, flags, *_ in bodies] == [0] * (len(bodies) - 1) + [END_STREAM]


def test_an_answer_before_the_body_was_sent_stops_it(peer: Peer) -> None:
    call = peer.ask(bytes(100_000))
    peer.sync()
    peer.tell(headers(1, huffman(("grpc-status", "8")), END_HEADERS | END_STREAM))
    peer.tell(window_update(100_000))

    assert call.status == "RESOURCE_EXHAUSTED"
    assert peer.body_bytes() == {1: 65_535}
    assert peer.received[-1][0] == RST_STREAM


def test_calls_that_a_leaving_server_has_not_seen_go_to_the_next_connection(peer: Peer) -> None:
    seen, unseen = peer.ask(), peer.ask()
    peer.sync()
    peer.tell(frame(GOAWAY, 0, 0, struct.pack(">II", 1, 0)))
    assert (seen.status, unseen.status) == ("", "")

    after = Peer(peer.pool, peer.listener)
    with after.socket:
        after.settle()
        assert after.body_bytes() == {1: 8}
        after.tell(headers(1, b"\x88") + data(1) + headers(1, OK, END_HEADERS | END_STREAM))
        assert (seen.status, unseen.status) == ("", "OK")

        peer.socket.sendall(headers(1, huffman(("grpc-status", "5")), END_HEADERS | END_STREAM))
        after.pool.turn(time.monotonic() + LONG_S)
        assert seen.status == "NOT_FOUND"
        peer.socket.settimeout(LONG_S)
        assert peer.socket.recv(1) == b""  # nothing is left to do there
