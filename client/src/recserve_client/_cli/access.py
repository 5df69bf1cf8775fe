"""How a command reaches a server, and as whom: data, of which nothing is read yet."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class TlsFiles:
    """Where to find what a connection is secured with; all of it is PEM."""

    roots: Path | None = None
    """Whom to trust; None means the system's authorities."""
    certificate: Path | None = None
    """The client's own certificate, then those between it and its authority, or None."""
    key: Path | None = None
    """Key of that certificate, without a password; None without a certificate."""
    server_name: str = ""
    """Name to find in the server's certificate; empty means the target's own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """How a server is reached, and as whom."""

    tls: TlsFiles | None = None
    """Secures the connection; None means plain text."""
    token: str = field(default="", repr=False)
    """Bearer token to send; empty means none."""
    token_in_plain_text: bool = False
    """Whether it may be sent over a connection that is not secured."""
