"""Certificates, keys and tokens as files, for tests of what reads them."""

from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization

from recserve_client.testing import ServerTls


class Pem:
    """A folder, and the authority that issues what is in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.ca = self.write("ca.pem", self._authority.cert_pem.bytes())

    def write(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(content)
        return path

    def server_tls(self, *names: str, asks_for_certificates: bool = False) -> ServerTls:
        """Issues what a server of these names shows."""
        issued = self._authority.issue_cert(*names)
        return ServerTls(
            certificate_chain=_chain_of(issued),
            private_key=issued.private_key_pem.bytes(),
            client_roots=self._authority.cert_pem.bytes() if asks_for_certificates else None,
        )

    def own(self, name: str = "own") -> tuple[Path, Path]:
        """Issues a client's certificate; returns it and its key."""
        issued = self._authority.issue_cert(f"{name}.example.org")
        key = self.write(f"{name}.key", issued.private_key_pem.bytes())
        return self.write(f"{name}.pem", _chain_of(issued)), key

    def locked(self, key: Path) -> Path:
        """Returns the key with a password."""
        loaded = serialization.load_pem_private_key(key.read_bytes(), None)
        how = serialization.BestAvailableEncryption(b"password")
        pkcs8 = serialization.PrivateFormat.PKCS8
        return self.write(
            "locked.key", loaded.private_bytes(serialization.Encoding.PEM, pkcs8, how)
        )


def _chain_of(issued: trustme.LeafCert) -> bytes:
    return b"".join(each.bytes() for each in issued.cert_chain_pems)
