"""Who may call, and over what."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class TlsConfig:
    """Files of PEM; all are read again when they change."""

    certificate: Path | None = None
    """The server's certificate and those between it and its authority; None for no TLS."""
    key: Path | None = None
    """The certificate's private key."""
    client_ca: Path | None = None
    """Authorities of clients' certificates, which every client then needs; None to ask for none."""

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("tls_cert and tls_key must be given together")
        if self.client_ca is not None and self.certificate is None:
            raise ValueError("tls_client_ca needs tls_cert and tls_key")


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessConfig:
    """Who may call what."""

    callers_file: Path | None = None
    """TOML of callers and what each may do (docs/security.md); None lets everybody do everything
    that the network lets through. Read again when it changes."""
    health_needs_caller: bool = False
    """Whether health checks, too, have to come from a known caller."""
