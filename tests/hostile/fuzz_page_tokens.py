"""Fuzzes page tokens: python tests/hostile/fuzz_page_tokens.py -max_total_time=60.

The first byte says what the others are: a token, what one is made of, or a name for a good one.
"""

import base64

import atheris

with atheris.instrument_imports(include=["recserve_server.validation.models"]):
    from recserve_server.validation.models import decode_page_token, encode_page_token

from fuzzing import fuzz

RAW, WITHIN, GOOD = b"\0", b"\1", b"\2"


def decode(encoded: bytes) -> None:
    kind, rest = encoded[:1], encoded[1:]
    text = rest.decode(errors="replace")
    if kind == GOOD and text:
        version = len(encoded)
        assert decode_page_token(encode_page_token(text, version)) == (text, version)
        return
    token = base64.urlsafe_b64encode(rest).decode() if kind == WITHIN else text
    try:
        name, version = decode_page_token(token)
    except ValueError:
        return
    assert name
    assert version >= 0


if __name__ == "__main__":
    token = encode_page_token("films", 12).encode()
    fuzz(decode, [RAW + token, WITHIN + b"12/films", WITHIN + b"1" * 5000 + b"/f", GOOD + b"films"])
