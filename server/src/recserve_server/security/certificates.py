"""A server's certificate and key, and its clients' authorities, checked before they are used.

gRPC would take most of what is refused here, and then refuse every client.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

_BEGIN: Final = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----")
# gRPC's clients offer no signature by another kind: a handshake with one fails.
_CURVES: Final = frozenset({"secp256r1", "secp384r1"})


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM that belongs together."""

    chain: bytes
    """The server's certificate, then those between it and its authority."""
    key: bytes = field(repr=False)
    """The key of the certificate."""
    client_ca: bytes | None
    """Authorities of clients' certificates; None if clients need none."""
    not_before: float
    """When the certificate becomes valid, in Unix time."""
    not_after: float
    """When it expires, in Unix time."""

    def is_valid_at(self, time_s: float) -> bool:
        """Whether clients whose clock says `time_s` take the certificate."""
        return self.not_before <= time_s <= self.not_after


def parse_certificates(contents: Sequence[bytes]) -> Certificates:
    """Checks that certificates and key are such, and belong together.

    Dates are not looked at.

    Args:
        contents: the chain, the key and, if clients need a certificate, their authorities; PEM.

    Raises:
        ValueError: they cannot be used; the text names the setting.
    """
    chain, key, *authorities = contents
    leaf = _parse_all("tls_cert", chain)[0]
    _check_pair(leaf, key)
    for each in authorities:
        _parse_all("tls_client_ca", each)
    return Certificates(
        chain,
        key,
        authorities[0] if authorities else None,
        leaf.not_valid_before_utc.timestamp(),
        leaf.not_valid_after_utc.timestamp(),
    )


def _parse_all(setting: str, pem: bytes) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(pem)
    except (ValueError, x509.InvalidVersion) as error:
        raise ValueError(f"{setting} is not PEM of certificates") from error
    if len(found) != len(_BEGIN.findall(pem)):  # the last of them is cut off
        raise ValueError(f"{setting} ends in the middle of a certificate")
    return found


def _check_pair(leaf: x509.Certificate, key: bytes) -> None:
    try:
        private, public = load_pem_private_key(key, None), leaf.public_key()
    except TypeError as error:
        raise ValueError("tls_key has a password, must have none") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("tls_key is not PEM of a private key") from error
    if private.public_key() != public:
        raise ValueError("tls_key is not the key of the first certificate in tls_cert")
    is_taken = isinstance(public, RSAPublicKey) or (
        isinstance(public, EllipticCurvePublicKey) and public.curve.name in _CURVES
    )
    if not is_taken:
        raise ValueError("tls_key is of a kind that clients refuse, must be RSA, P-256 or P-384")
