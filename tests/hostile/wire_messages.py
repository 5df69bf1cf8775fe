"""Random messages as bytes, out of their descriptors: what a caller could send, sense or not."""

import struct
from typing import Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import strategies as st

from recserve_server.wire import FIXED_32, LENGTH_DELIMITED, tag, varint

VARINT: Final = 0
FIXED_64: Final = 1
_WIRE_TYPE: Final = {
    FieldDescriptor.TYPE_DOUBLE: FIXED_64,
    FieldDescriptor.TYPE_FLOAT: FIXED_32,
    FieldDescriptor.TYPE_STRING: LENGTH_DELIMITED,
    FieldDescriptor.TYPE_MESSAGE: LENGTH_DELIMITED,
}

_ITEMS: Final = [f"i{row}" for row in (*range(8), 39, 999)]
_SOUND_TEXTS: Final = {
    "item_id": _ITEMS,
    "item_ids": _ITEMS,
    "excluded_item_ids": _ITEMS,
    "allowed_item_ids": _ITEMS,
    "user_id": ["u0", "u1", "u5", "stranger"],
    "model": ["films", ""],
    "attribute": ["genres", "genres", "year"],
    "values": ["Drama", "War", "None such"],
    "page_token": [""],
}
_SOUND_OF_MESSAGE: Final = {
    "AttributeCap": ["genres"],
    "GetModelRequest": ["films", ""],
    "UserFeature": ["age"],
}
_WILD_TEXTS: Final = st.one_of(
    st.text(max_size=12).map(str.encode),
    st.sampled_from([b"", b"\0", b"\n", b"\x7f", "\u2028\u202e\ufeff".encode(), b"x" * 129]),
    st.sampled_from([b"\xff\xfe", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80"]),  # no UTF-8
    st.integers(200, 20_000).map(lambda size: "\U0001f4a3".encode() * size),
)
_WILD_NUMBERS: Final = st.one_of(
    st.sampled_from([2**31 - 1, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64 - 2**31]),
    st.integers(0, 2**64 - 1),
)
_WILD_DOUBLES: Final = st.one_of(
    st.sampled_from([float("nan"), float("inf"), -float("inf"), 5e-324, 1.7e308, -1e300, -0.0]),
    st.floats(),
)


@st.composite
def messages(draw: st.DrawFn, descriptor: Descriptor) -> bytes:
    """Draws an encoded message: one of sense, one with wild fields here and there, or all wild."""
    return draw(_bodies(descriptor, draw(st.sampled_from([0, 0, 0, 1, 1, 9])), 3))


@st.composite
def _bodies(draw: st.DrawFn, descriptor: Descriptor, wildness: int, depth: int) -> bytes:
    parts = []
    for field in descriptor.fields:
        if field.is_repeated:
            count = draw(st.sampled_from([0, 0, 0, 1, 2, 5]))
        else:
            # Without an id of a user, an item or an attribute hardly anything makes sense.
            count = int(_is_needed(field) or draw(st.integers(0, 2)) == 0)
        parts += [draw(_fields(field, wildness, depth)) for _ in range(count)]
    if draw(st.integers(0, 9)) < wildness:
        parts.append(draw(_nonsense(descriptor)))
        parts = draw(st.permutations(parts))
    return b"".join(parts)


def _is_needed(field: FieldDescriptor) -> bool:
    return field.name in {"user_id", "item_id", "attribute", "name", "event_id", "max_count", "max"}


@st.composite
def _fields(draw: st.DrawFn, field: FieldDescriptor, wildness: int, depth: int) -> bytes:
    is_wild = draw(st.integers(0, 9)) < wildness
    start = tag(field.number, _WIRE_TYPE.get(field.type, VARINT))
    if field.type == FieldDescriptor.TYPE_STRING:
        return start + _sized(draw(_WILD_TEXTS if is_wild else _sound_texts(field)))
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        inner = _bodies(field.message_type, wildness, depth - 1) if depth else st.just(b"")
        return start + _sized(draw(inner))
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        sound = st.sampled_from([0.0, 0.5, 1.0])
        return start + struct.pack("<d", draw(_WILD_DOUBLES if is_wild else sound))
    # Whole numbers, booleans, and enums: unknown values if wild.
    sound = st.integers(0, 1) if "version" in field.name else st.integers(1, 2)
    return start + varint(draw(_WILD_NUMBERS if is_wild else sound))


def _sound_texts(field: FieldDescriptor) -> st.SearchStrategy[bytes]:
    known = _SOUND_TEXTS.get(field.name)
    known = _SOUND_OF_MESSAGE.get(field.containing_type.name, known)
    if known is None:
        return st.integers(0, 10**6).map(lambda number: b"e%d" % number)
    return st.sampled_from(known).map(str.encode)


@st.composite
def _nonsense(draw: st.DrawFn, descriptor: Descriptor) -> bytes:
    known = st.sampled_from([field.number for field in descriptor.fields] or [1])
    number = draw(st.one_of(known, st.integers(0, 2**29 - 1)))
    return tag(number, draw(st.integers(0, 7))) + draw(st.binary(max_size=20))


def mutated(encoded: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Draws messages that have been cut off, changed at a place, or repeated."""
    return st.builds(
        _mutate, encoded, st.integers(0, 3), st.integers(0, 10_000), st.integers(0, 255)
    )


def _mutate(encoded: bytes, how: int, place: int, byte: int) -> bytes:
    place %= len(encoded) + 1
    if how == 0:
        return encoded[:place]
    if how == 1:
        return encoded[:place] + bytes([byte]) + encoded[place + 1 :]
    if how == 2:
        return encoded[place:] + encoded
    return encoded[:place] + bytes([byte]) + encoded[place:]


def nested(number: int, depth: int) -> bytes:
    """Returns a field within itself, `depth` times."""
    encoded = b""
    for _ in range(depth):
        encoded = tag(number, LENGTH_DELIMITED) + _sized(encoded)
    return encoded


def grouped(number: int, depth: int) -> bytes:
    """Returns a group within itself, `depth` times: a part of the encoding that nobody uses."""
    return tag(number, 3) * depth + tag(number, 4) * depth


def _sized(encoded: bytes) -> bytes:
    return varint(len(encoded)) + encoded
