"""An authority of our own, and the certificates that it gives to replicas."""

import datetime
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trustme

SERVER_NAME: Final = "localhost"


@dataclass(frozen=True)
class Certificates:
    """Files of one replica, and how to change them."""

    folder: Path
    authority: trustme.CA = field(default_factory=trustme.CA)

    @property
    def roots(self) -> bytes:
        """Whom clients trust, PEM."""
        return self.authority.cert_pem.bytes()

    def flags(self, name: str) -> list[str]:
        """Returns the flags of a replica that has its own certificate."""
        return [
            "--tls-cert",
            str(self._path(name, "cert")),
            "--tls-key",
            str(self._path(name, "key")),
        ]

    def issue(self, name: str, valid_s: float = 86_400.0) -> int:
        """Gives a replica a new certificate, which may be over already; returns its number."""
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=valid_s)
        # An address stands beside the name: gRPC checks either.
        made = self.authority.issue_cert(SERVER_NAME, "127.0.0.1", not_after=end)
        chain = b"".join(each.bytes() for each in made.cert_chain_pems)
        self.put(name, chain, made.private_key_pem.bytes())
        return serial_number(chain)

    def put(self, name: str, chain: bytes, key: bytes) -> None:
        """Replaces both files, each in one step, as a mounted secret is."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for kind, content in (("key", key), ("cert", chain)):
            path = self._path(name, kind)
            scratch = path.with_suffix(".new")
            scratch.write_bytes(content)
            scratch.chmod(0o600)
            scratch.replace(path)

    def _path(self, name: str, kind: str) -> Path:
        return self.folder / f"{name}-{kind}.pem"


def serial_number(chain: bytes) -> int:
    """Returns the number of a chain's first certificate, PEM."""
    from cryptography import x509

    return x509.load_pem_x509_certificates(chain)[0].serial_number


def presented(port: int) -> int:
    """Connects anew and returns the number of the certificate that a server shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5.0) as plain,
        context.wrap_socket(plain, server_hostname=SERVER_NAME) as secured,
    ):
        der = secured.getpeercert(binary_form=True)
    return serial_number(ssl.DER_cert_to_PEM_cert(der).encode())
