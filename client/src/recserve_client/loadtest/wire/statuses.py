"""The status of a call, read from the header blocks of its answer (RFC 7541).

We announce a dynamic table of size 0, so a block means the same whatever came before it: blocks
that do not matter are skipped unread.
"""

import functools
from typing import Final

from hpack import Decoder
from hpack.exceptions import HPACKError

NAMES: Final = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
"""Names of gRPC's statuses by number."""

_BY_DIGITS: Final = {str(number): name for number, name in enumerate(NAMES)}
_WRITTEN_NAME: Final = b"\x0bgrpc-status"  # with its length, lest grpc-status-details-bin match
_BY_WRITTEN: Final = {
    bytes([len(digits)]) + digits.encode(): name for digits, name in _BY_DIGITS.items()
}
# https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
_BY_HTTP_STATUS: Final = {
    "400": "INTERNAL",
    "401": "UNAUTHENTICATED",
    "403": "PERMISSION_DENIED",
    "404": "UNIMPLEMENTED",
    "429": "UNAVAILABLE",
    "502": "UNAVAILABLE",
    "503": "UNAVAILABLE",
    "504": "UNAVAILABLE",
}


class HeaderBlockError(Exception):
    """A header block that cannot be read."""


def final_status(block: bytes, http_status: str) -> str:
    """Returns the name of the status that ends a call.

    Args:
        block: the last headers; empty if there were none.
        http_status: of the headers before, in digits; the last headers may bear their own.

    Raises:
        HeaderBlockError: they cannot be read.
    """
    place = block.find(_WRITTEN_NAME)
    if place >= 0:
        place += len(_WRITTEN_NAME)
        name = _BY_WRITTEN.get(block[place : place + 2]) or _BY_WRITTEN.get(
            block[place : place + 3]
        )
        if name:
            return name
    # Huffman codes, or no such header.
    headers = _decoded(block)
    if "grpc-status" in headers:
        return _BY_DIGITS.get(headers["grpc-status"], "UNKNOWN")
    return _BY_HTTP_STATUS.get(headers.get(":status", http_status), "UNKNOWN")


def http_status(block: bytes) -> str:
    """Returns `:status` of the first headers of an answer, "" without one.

    Raises:
        HeaderBlockError: they cannot be read.
    """
    return _decoded(block).get(":status", "")


# Behind a proxy that uses Huffman codes, most answers end with the same bytes.
@functools.lru_cache(maxsize=256)
def _decoded(block: bytes) -> dict[str, str]:
    decoder = Decoder()
    decoder.header_table_size = decoder.max_allowed_table_size = 0
    try:
        return {str(name): str(value) for name, value in decoder.decode(block)}
    except HPACKError as error:
        raise HeaderBlockError(f"header block cannot be read: {error}") from error
