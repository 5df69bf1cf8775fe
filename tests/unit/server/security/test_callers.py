"""The file of callers."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from recserve_server.security.callers import LONGEST_TOKEN, Permission, parse_callers

TOKEN = "0123456789abcdef"
DIGEST = hashlib.sha256(b"another token of the web shop").hexdigest()
GOOD = f"""
[[caller]]
name = "shop"
token = "{TOKEN}"
token_sha256 = "{DIGEST}"
may = ["recommend", "feedback"]

[[caller]]
name = "nightly"
certificate = ["nightly.example.org", "spiffe://example.org/nightly"]
may = ["admin"]
expires = 2030-01-31T12:00:00+01:00
"""


def with_(line: str) -> str:
    """Returns a file of one caller with one further line."""
    has = line.partition(" ")[0]
    lines = {"name": '"web"', "token": f'"{TOKEN}"', "may": '["recommend"]'}
    return (
        "[[caller]]\n"
        + "".join(f"{key} = {value}\n" for key, value in lines.items() if key != has)
        + line
    )


def test_a_caller_is_known_by_each_of_its_tokens() -> None:
    callers = parse_callers(GOOD.encode())

    found = [callers.of_token(token) for token in (TOKEN, "another token of the web shop")]

    assert [caller.name for caller in found if caller] == ["shop", "shop"]
    assert found[0].may == {Permission.RECOMMEND, Permission.FEEDBACK}


def test_a_token_is_known_as_a_whole_only() -> None:
    callers = parse_callers(GOOD.encode())

    for other in ("", TOKEN[:-1], TOKEN + "0", TOKEN.upper(), DIGEST):
        assert callers.of_token(other) is None


def test_a_caller_is_known_by_each_name_of_its_certificate_until_its_time_is_over() -> None:
    callers = parse_callers(GOOD.encode())

    assert set(callers.by_certificate) == {"nightly.example.org", "spiffe://example.org/nightly"}
    [caller] = set(callers.by_certificate.values())
    assert caller.expires_s == datetime(2030, 1, 31, 11, tzinfo=UTC).timestamp()


def test_no_token_is_kept() -> None:
    callers = parse_callers(GOOD.encode())

    assert TOKEN not in repr(callers)
    assert next(iter(callers.by_token)) == hashlib.sha256(TOKEN.encode()).digest()


@pytest.mark.parametrize(
    ("toml", "reason"),
    [
        ("", "has no [[caller]], must have one or more"),
        ("caller = 3", "has no [[caller]], must have one or more"),
        ("caller = [3]", "has no [[caller]], must have one or more"),
        ("[callers]", "has 'callers', must have [[caller]] only"),
        ("[[caller]\n", "is not TOML: "),
        ('[[caller]]\nname = "a b"', "the name of caller 1 must be 1 to 64 of letters, "),
        (with_('nme = "web"'), "caller 'web' has 'nme', must have certificate, expires, may, "),
        (with_("may = []\n" + GOOD.replace("shop", "web", 1)), "has two callers 'web', "),
        (with_("may = []\n" + GOOD), "caller 'shop' has the token of 'web', must have its own"),
        (
            with_('may = ["all"]'),
            "caller 'web' has no 'may', or one that is no list of recommend, ",
        ),
        (
            with_('may = "admin"'),
            "caller 'web' has no 'may', or one that is no list of recommend, ",
        ),
        (
            with_('token = "short"'),
            "caller 'web' has a token of 5 characters, must have 16 to 4096",
        ),
        (with_(f'token = "{"x" * 4097}"'), "caller 'web' has a token of 4097 characters, "),
        (with_('token = "0123456789 abcdef"'), "caller 'web' has a token that must be printable "),
        (with_("token = 3"), "caller 'web' has a 'token' that must be a text, or a list of texts"),
        (with_('token_sha256 = "ABC"'), "caller 'web' has a token_sha256 that must be 64 hex"),
        (with_("token = []"), "caller 'web' must have a token, a token_sha256 or a certificate"),
        (with_('certificate = ""'), "caller 'web' has a 'certificate' that must be a text, or a "),
        (with_("expires = 2030-01-31"), "caller 'web' has an 'expires' that must be a time with "),
        (with_("expires = 2030-01-31T12:00:00"), "caller 'web' has an 'expires' that must be a "),
    ],
)
def test_a_file_that_is_not_as_it_must_be_is_refused_in_one_line_without_a_token(
    toml: str, reason: str
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the text is compared
        parse_callers(toml.encode())

    text = str(caught.value)
    assert text.startswith(reason)
    assert "\n" not in text
    assert TOKEN not in text


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"caller = " + b"[" * 100_000])
def test_a_file_that_is_no_text_or_endlessly_nested_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="is not TOML"):
        parse_callers(content)


def test_the_example_of_the_documentation_is_one() -> None:
    page = Path(__file__).parents[4] / "docs" / "security.md"
    example = page.read_text().partition("```toml\n")[2].partition("```")[0]

    callers = parse_callers(example.encode())

    assert len(callers.by_token) == 3
    assert list(callers.by_certificate) == ["spiffe://example.org/nightly-mail"]


def test_the_longest_token_is_taken() -> None:
    token = "x" * LONGEST_TOKEN

    assert parse_callers(with_(f'token = "{token}"').encode()).of_token(token)
