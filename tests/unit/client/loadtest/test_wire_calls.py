import struct

import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve_client._cli.access import TlsFiles
from recserve_client.loadtest.plan import Endpoint, PlanError, Question
from recserve_client.loadtest.wire.calls import EncodedCall, encode, literal
from recserve_client.loadtest.wire.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEAD,
    HEADERS,
    content,
)

METHOD = "/films.Films/Ask"
STREAM = 77


def encoded(message: bytes = b"abc", method: str = METHOD, **endpoint) -> EncodedCall:
    target = {"host": "127.0.0.1", "port": 8500} | endpoint
    [call] = encode([Question(method, message)], Endpoint(**target))
    return call


def frames(data: bytes) -> list[tuple[int, int, int, bytes]]:
    found = []
    while data:
        head, flags, stream = FRAME_HEAD.unpack_from(data)
        end = 9 + (head >> 8)
        found.append((head & 0xFF, flags, stream, data[9:end]))
        data = data[end:]
    return found


def headers(**endpoint) -> list[tuple[str, str]]:
    [(_, _, _, block), *_] = frames(STREAM.to_bytes(4, "big").join(encoded(**endpoint).pieces))
    return [(str(name), str(value)) for name, value in hpack.Decoder().decode(block)]


def test_a_small_call_is_one_frame_of_headers_and_one_of_data() -> None:
    call = encoded()
    [first, second] = frames(STREAM.to_bytes(4, "big").join(call.pieces))

    assert first[:3] == (HEADERS, END_HEADERS, STREAM)
    assert second == (DATA, END_STREAM, STREAM, struct.pack(">BI", 0, 3) + b"abc")
    assert (call.method, call.body_bytes, call.large_body) == (METHOD, 8, b"")


@pytest.mark.parametrize(("size", "is_large"), [(16_379, False), (16_380, True)])
def test_a_body_that_fits_no_single_frame_is_kept_apart(size: int, is_large: bool) -> None:
    call = encoded(bytes(size))

    assert call.body_bytes == size + 5
    assert len(call.large_body) == (size + 5 if is_large else 0)
    kinds = [kind for kind, *_ in frames(STREAM.to_bytes(4, "big").join(call.pieces))]
    assert kinds == [HEADERS] if is_large else [HEADERS, DATA]


def test_headers_are_those_of_grpc() -> None:
    found = dict(headers(timeout_s=0.25))
    agent = found.pop("user-agent")

    assert agent.startswith("recserve-loadtest/0.")
    assert found == {
        ":method": "POST",
        ":scheme": "http",
        ":path": METHOD,
        ":authority": "127.0.0.1:8500",
        "te": "trailers",
        "content-type": "application/grpc",
        "grpc-timeout": "250000u",
        "x-request-id": "loadtest",
    }


def test_pseudo_headers_come_first() -> None:
    names = [name for name, _ in headers(metadata=(("a", "b"),))]

    assert [name[0] == ":" for name in names] == [True] * 4 + [False] * (len(names) - 4)


@pytest.mark.parametrize(
    ("timeout_s", "spelt"),
    [(0.001, "1000u"), (1.0, "1000000u"), (99.9, "99900000u"), (3600.0, "3600000m")],
)
def test_a_timeout_has_at_most_eight_digits(timeout_s: float, spelt: str) -> None:
    assert dict(headers(timeout_s=timeout_s))["grpc-timeout"] == spelt


def test_no_timeout_is_not_sent() -> None:
    assert "grpc-timeout" not in dict(headers(timeout_s=None))


def test_metadata_is_sent_and_hidden_from_tables_of_proxies() -> None:
    token = "Bearer " + "x" * 1500
    call = encoded(metadata=(("authorization", token), ("x-request-id", "mine")))
    [(_, _, _, block), *_] = frames(STREAM.to_bytes(4, "big").join(call.pieces))
    found = list(hpack.Decoder().decode(block))

    assert [str(value) for name, value in found if name == "x-request-id"] == ["mine"]
    [secret] = [each for each in found if each[0] == "authorization"]
    assert secret[1] == token
    assert not secret.indexable


def test_tls_and_addresses_of_six_are_told() -> None:
    found = dict(headers(host="::1", tls=TlsFiles()))

    assert (found[":scheme"], found[":authority"]) == ("https", "[::1]:8500")


def test_a_server_of_another_name_is_called_by_it() -> None:
    found = dict(headers(tls=TlsFiles(server_name="films.example.org")))

    assert found[":authority"] == "films.example.org"


@given(st.integers(0, 100_000))
def test_strings_of_any_length_can_be_read(size: int) -> None:
    block = b"\x00" + literal("a") + literal("v" * size)

    decoder = hpack.Decoder(max_header_list_size=200_000)
    assert [tuple(each) for each in decoder.decode(block)] == [("a", "v" * size)]


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ((("Upper", "x"),), "metadata name is 'Upper', must be of a-z"),
        ((("grpc-timeout", "1S"),), "metadata name is 'grpc-timeout', must be"),
        ((("content-type", "x"),), "metadata name is 'content-type', must be"),
        ((("a", "x\r\ny"),), "metadata a has characters other than"),
        ((("a", "x" * 17_000),), "metadata has 17147 bytes, up to 16384 can be sent"),
    ],
)
def test_metadata_that_cannot_be_sent_is_refused(metadata, told: str) -> None:
    with pytest.raises(PlanError, match=told):
        encoded(metadata=metadata)


def test_a_method_that_is_no_path_is_refused() -> None:
    with pytest.raises(PlanError, match=r"method is 'Ask', must be as /package\.Service/Method"):
        encoded(method="Ask")


def test_padding_and_priority_are_no_content() -> None:
    assert content(8 | 32, b"\x02" + b"prio!" + b"block" + b"\0\0") == b"block"
    assert content(0, b"block") == b"block"
