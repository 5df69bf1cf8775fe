"""The parts that protobuf messages are encoded of.

Source: https://protobuf.dev/programming-guides/encoding.
"""

from collections.abc import Sequence
from typing import Final

from recserve.v1 import recommendation_service_pb2 as pb

LENGTH_DELIMITED: Final = 2
"""Wire type of strings and messages."""
FIXED_32: Final = 5
"""Wire type of floats."""


def tag(field_number: int, wire_type: int) -> bytes:
    """Returns what stands before a field's value."""
    return varint(field_number << 3 | wire_type)


def varint(value: int) -> bytes:
    """Returns a number, 0 or more, seven bits a byte, the lowest first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def encode_batch(responses: Sequence[bytes]) -> bytes:
    """Returns the encoded `recserve.v1.BatchRecommendResponse` of encoded responses."""
    before = tag(pb.BatchRecommendResponse.RESPONSES_FIELD_NUMBER, LENGTH_DELIMITED)
    parts: list[bytes] = []
    for response in responses:
        parts += (before, varint(len(response)), response)
    return b"".join(parts)
