"""Certificates, keys and callers for the tests beside it."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from recserve_client import AsyncRecommenderClient, ChannelConfig, Tls

SHOP, NIGHTLY, GONE = (f"{name}-0123456789abcdef" for name in ("shop", "nightly", "gone"))
CALLERS = f"""
[[caller]]
name = "shop"
token = "{SHOP}"
may = ["recommend"]

[[caller]]
name = "nightly"
token = "{NIGHTLY}"
may = ["recommend", "feedback", "admin"]

[[caller]]
name = "gone"
token = "{GONE}"
may = ["recommend"]
expires = 2001-01-01T00:00:00Z
"""


class Files:
    """A folder of a server's files, and the authority that issues what is in them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.authority = trustme.CA()
        self.certificate, self.key = folder / "tls.crt", folder / "tls.key"
        self.client_ca = folder / "ca.crt"

    def issue(self, **fields: object) -> trustme.LeafCert:
        return self.authority.issue_cert("localhost", "127.0.0.1", "::1", **fields)

    def issue_expired(self, *names: str) -> trustme.LeafCert:
        now = datetime.now(UTC)
        return self.authority.issue_cert(
            *names, not_before=now - timedelta(days=2), not_after=now - timedelta(days=1)
        )

    def write_pair(self, issued: trustme.LeafCert) -> None:
        self.write(self.certificate, chain_of(issued))
        self.write(self.key, issued.private_key_pem.bytes())

    def write(self, path: Path, content: bytes) -> None:
        """Puts a file in its place in one step, for its owner alone."""
        beside = path.with_suffix(".new")
        beside.write_bytes(content)
        beside.chmod(0o600)
        beside.replace(path)


def chain_of(issued: trustme.LeafCert) -> bytes:
    return b"".join(pem.bytes() for pem in issued.cert_chain_pems)


def client_of(
    target: str,
    authority: trustme.CA,
    own: trustme.LeafCert | None = None,
    **fields: object,
) -> AsyncRecommenderClient:
    """Returns a client that trusts `authority`, and shows `own`; it does not try again."""
    shown = {}
    if own is not None:
        shown = {"certificate_chain": chain_of(own), "private_key": own.private_key_pem.bytes()}
    tls = Tls(root_certificates=authority.cert_pem.bytes(), **shown)
    config = ChannelConfig(tls=tls, max_attempts=1, **fields)
    return AsyncRecommenderClient(target, config=config, timeout_s=20.0)


def shown_by(port: int, host: str = "127.0.0.1") -> str:
    """Returns the certificate that a new connection is shown, as PEM."""
    return ssl.get_server_certificate((host, port), timeout=20)


def leaf_of(issued: trustme.LeafCert) -> str:
    return issued.cert_chain_pems[0].bytes().decode()
