import hpack
import pytest

from recserve_client.loadtest.wire.calls import literal
from recserve_client.loadtest.wire.statuses import (
    NAMES,
    HeaderBlockError,
    final_status,
    http_status,
)


def block(*headers: tuple[str, str], huffman: bool = True) -> bytes:
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    return encoder.encode(headers, huffman=huffman)


@pytest.mark.parametrize("huffman", [True, False])
@pytest.mark.parametrize("number", range(17))
def test_a_status_has_a_name_whether_or_not_it_is_huffman_coded(number: int, huffman: bool) -> None:
    found = final_status(block(("grpc-status", str(number)), huffman=huffman), "200")

    assert found == NAMES[number]


def test_the_details_of_a_status_are_not_taken_for_it() -> None:
    written = b"\0" + literal("grpc-status-details-bin") + literal("CAU")
    written += b"\0" + literal("grpc-status") + literal("8")

    assert final_status(written, "") == "RESOURCE_EXHAUSTED"


def test_a_number_that_nobody_knows_is_unknown() -> None:
    assert final_status(block(("grpc-status", "77"), huffman=False), "200") == "UNKNOWN"


@pytest.mark.parametrize(
    ("status", "name"),
    [
        ("400", "INTERNAL"),
        ("401", "UNAUTHENTICATED"),
        ("403", "PERMISSION_DENIED"),
        ("404", "UNIMPLEMENTED"),
        ("429", "UNAVAILABLE"),
        ("503", "UNAVAILABLE"),
        ("200", "UNKNOWN"),
        ("500", "UNKNOWN"),
    ],
)
def test_without_a_status_that_of_http_decides(status: str, name: str) -> None:
    assert final_status(block((":status", status)), "") == name
    assert final_status(b"", http_status(block((":status", status)))) == name


def test_a_block_that_cannot_be_read_is_told() -> None:
    with pytest.raises(HeaderBlockError, match="header block cannot be read"):
        final_status(b"\xff\xff\xff", "")


def test_a_server_that_uses_the_table_we_do_not_have_is_told() -> None:
    encoder = hpack.Encoder()
    encoder.encode([("grpc-status", "0")])
    known_by_place = encoder.encode([("grpc-status", "0")])

    with pytest.raises(HeaderBlockError):
        final_status(known_by_place, "")
