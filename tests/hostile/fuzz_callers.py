"""Fuzzes the file of callers: python tests/hostile/fuzz_callers.py -max_total_time=60."""

import atheris

with atheris.instrument_imports(include=["recserve_server.security.callers"]):
    from recserve_server.security.callers import parse_callers

from fuzzing import fuzz

GOOD = b"""
[[caller]]
name = "shop"
token = ["0123456789abcdef", "a-second-token-0"]
may = ["recommend", "feedback"]
expires = 2030-01-31T12:00:00Z

[[caller]]
name = "admin"
certificate = "admin.example.com"
token_sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
may = ["admin"]
"""
TOKENS = (b"0123456789abcdef", b"a-second-token-0")


def parse(encoded: bytes) -> None:
    try:
        callers = parse_callers(encoded)
    except ValueError as refused:
        assert all(each.decode() not in str(refused) for each in TOKENS)  # noqa: PT017
        return
    assert callers.by_token or callers.by_certificate


def seeds() -> list[bytes]:
    """Returns a good file, and such as go wrong in ways that take long to find."""
    early, late = b"0001-01-01T00:00:00+23:59", b"9999-12-31T23:59:59-23:59"
    expiring = [GOOD.replace(b"2030-01-31T12:00:00Z", each) for each in (early, late)]
    broken = GOOD.replace(b'"]', b'"')
    twice = GOOD + GOOD.replace(b"shop", b"rival").replace(b"admin", b"other")
    return [GOOD, *expiring, broken, twice, b"caller = " + b"[" * 2000, b"[caller]", b"\xff"]


if __name__ == "__main__":
    fuzz(parse, seeds())
