"""The file of callers: who they are, how they show it, what they may do.

Tokens are kept as their SHA-256 alone. That is enough for what is random, as a token has to be;
a password would need a slow hash.
"""

import hashlib
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias, TypeVar

LONGEST_TOKEN: Final = 4096
"""Characters that a token may have; a longer one is refused before it is hashed."""
_SHORTEST_TOKEN: Final = 16
_HARMLESS_KEY: Final = re.compile(r"[a-z][a-z_]{0,15}")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_KEYS: Final = frozenset({"name", "token", "token_sha256", "certificate", "may", "expires"})

_Table: TypeAlias = Mapping[str, object]


class Permission(StrEnum):
    """What a caller may do; `required_permission` says what belongs to each."""

    RECOMMEND = "recommend"
    """Ask for recommendations."""
    FEEDBACK = "feedback"
    """Record and delete what users did."""
    ADMIN = "admin"
    """See which models there are, and everything else."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One of those who may call."""

    name: str
    may: frozenset[Permission]
    expires_s: float = math.inf
    """When it may call no more, in Unix time."""


@dataclass(frozen=True, slots=True)
class Callers:
    """All of them, by what shows who they are."""

    by_token: Mapping[bytes, Caller] = field(repr=False)
    """By the SHA-256 of a token."""
    by_certificate: Mapping[str, Caller]
    """By a name in the client's certificate."""

    def of_token(self, token: str) -> Caller | None:
        """Returns whose token it is, if it is anybody's.

        How long that takes tells nothing about the tokens that there are: what is looked up, and
        compared, is a hash. Who guesses a token cannot know how its hash begins short of trying,
        so does not get closer by a comparison that goes further, as he would byte by byte with
        the token itself.
        """
        return self.by_token.get(hashlib.sha256(token.encode()).digest())


def parse_callers(toml: bytes) -> Callers:
    """Reads the file of callers (docs/security.md).

    Raises:
        ValueError: it is not as it must be; the text says where, and holds no token.
    """
    try:
        document = tomllib.loads(toml.decode())
    except (ValueError, RecursionError) as error:  # of decoding, of TOML, of "[[[[[[..."
        raise ValueError(f"is not TOML: {error}") from error
    for key in document:
        if key != "caller":
            raise ValueError(f"has {_key(key)}, must have [[caller]] only")
    tables = document.get("caller")
    if not isinstance(tables, list) or not tables or not all(isinstance(t, dict) for t in tables):
        raise ValueError("has no [[caller]], must have one or more")
    return _gathered(tables)


def _gathered(tables: list[_Table]) -> Callers:
    names: set[str] = set()
    by_token: dict[bytes, Caller] = {}
    by_certificate: dict[str, Caller] = {}
    for place, table in enumerate(tables, start=1):
        name = _name(place, table)
        if name in names:
            raise ValueError(f"has two callers {name!r}, must have one of each name")
        names.add(name)
        try:
            caller = _caller(name, table)
            digests, certificates = list(_digests(table)), _texts(table, "certificate")
            _check_shown(digests, certificates)
            _add("token", by_token, digests, caller)
            _add("certificate", by_certificate, certificates, caller)
        except ValueError as error:
            raise ValueError(f"caller {name!r} {error}") from error
    return Callers(by_token, by_certificate)


def _name(place: int, table: _Table) -> str:
    name = table.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"the name of caller {place} must be 1 to 64 of letters, digits, '.', '_' and '-'"
        )
    return name


def _caller(name: str, table: _Table) -> Caller:
    for key in table:
        if key not in _KEYS:
            raise ValueError(f"has {_key(key)}, must have {', '.join(sorted(_KEYS))} only")
    return Caller(name, _permissions(table.get("may")), _expires_s(table.get("expires")))


def _key(key: str) -> str:
    """Returns a key as it is told, unless it could be a token in the wrong place."""
    return repr(key) if _HARMLESS_KEY.fullmatch(key) else "an unknown key"


def _permissions(may: object) -> frozenset[Permission]:
    known = list(Permission)
    if not isinstance(may, list) or not all(each in known for each in may):
        raise ValueError(f"has no 'may', or one that is no list of {', '.join(known)}")
    return frozenset(map(Permission, may))


def _expires_s(expires: object) -> float:
    if expires is None:
        return math.inf
    # TOML has times without a zone, and dates, which begin at another moment in each place.
    if not isinstance(expires, datetime) or expires.tzinfo is None:
        raise ValueError("has an 'expires' that must be a time with a zone: 2030-01-31T12:00:00Z")
    return expires.timestamp()


def _texts(table: _Table, key: str) -> list[str]:
    value = table.get(key, [])
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(each, str) and each for each in texts):
        raise ValueError(f"has a {key!r} that must be a text, or a list of texts")
    return texts


def _digests(table: _Table) -> Iterator[bytes]:
    for token in _texts(table, "token"):
        if not _SHORTEST_TOKEN <= len(token) <= LONGEST_TOKEN:
            raise ValueError(
                f"has a token of {len(token)} characters, must have {_SHORTEST_TOKEN} to "
                f"{LONGEST_TOKEN}"
            )
        if not (token.isascii() and token.isprintable()) or " " in token:
            raise ValueError("has a token that must be printable ASCII without spaces")
        yield hashlib.sha256(token.encode()).digest()
    for digest in _texts(table, "token_sha256"):
        if not _SHA256.fullmatch(digest):
            raise ValueError("has a token_sha256 that must be 64 hexadecimal digits, a to f small")
        yield bytes.fromhex(digest)


def _check_shown(digests: list[bytes], certificates: list[str]) -> None:
    if not digests and not certificates:
        raise ValueError("must have a token, a token_sha256 or a certificate")


_Key = TypeVar("_Key", bytes, str)


def _add(what: str, known: dict[_Key, Caller], keys: list[_Key], caller: Caller) -> None:
    for key in keys:
        other = known.setdefault(key, caller)
        if other is not caller:
            raise ValueError(f"has the {what} of {other.name!r}, must have its own")
