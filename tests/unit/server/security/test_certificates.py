"""Which certificates and keys are used, and which are refused before they are."""

import datetime

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from recserve_server.security.certificates import parse_certificates

AUTHORITY = trustme.CA()
ISSUED = AUTHORITY.issue_cert("localhost", not_after=datetime.datetime(2040, 1, 1))  # noqa: DTZ001
CHAIN, KEY = ISSUED.cert_chain_pems[0].bytes(), ISSUED.private_key_pem.bytes()
CA = AUTHORITY.cert_pem.bytes()


def self_signed(key: PrivateKeyTypes) -> list[bytes]:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), 5)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    signed = builder.sign(key, None if hasattr(key, "private_bytes_raw") else hashes.SHA256())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return [signed.public_bytes(Encoding.PEM), pem]


def encrypted(key: bytes) -> bytes:
    loaded = load_pem_private_key(key, None)
    kind = BestAvailableEncryption(b"password")
    return loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, kind)


def test_a_pair_is_kept_with_its_dates() -> None:
    found = parse_certificates([CHAIN, KEY, CA])

    assert (found.chain, found.key, found.client_ca) == (CHAIN, KEY, CA)
    assert found.not_after == datetime.datetime(2040, 1, 1, tzinfo=datetime.UTC).timestamp()
    assert not found.is_valid_at(found.not_after + 1)
    assert not found.is_valid_at(found.not_before - 1)


def test_clients_need_no_certificate_without_authorities() -> None:
    assert parse_certificates([CHAIN, KEY]).client_ca is None


def test_a_key_does_not_show_itself() -> None:
    assert "PRIVATE KEY" not in repr(parse_certificates([CHAIN, KEY]))


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        ([b"", KEY], "tls_cert is not PEM of certificates"),
        ([b"\xff\x00 rubbish", KEY], "tls_cert is not PEM of certificates"),
        ([KEY, KEY], "tls_cert is not PEM of certificates"),
        ([CHAIN[:-60], KEY], "tls_cert is not PEM of certificates"),
        ([CHAIN + CA[:-60], KEY], "tls_cert ends in the middle of a certificate"),
        ([CHAIN.replace(b"MI", b"XX", 1), KEY], "tls_cert is not PEM of certificates"),
        ([CHAIN, b""], "tls_key is not PEM of a private key"),
        ([CHAIN, CHAIN], "tls_key is not PEM of a private key"),
        ([CHAIN, KEY[:-60]], "tls_key is not PEM of a private key"),
        ([CHAIN, encrypted(KEY)], "tls_key has a password, must have none"),
        (
            [CHAIN, AUTHORITY.issue_cert("localhost").private_key_pem.bytes()],
            "tls_key is not the key of the first certificate in tls_cert",
        ),
        ([CA + CHAIN, KEY], "tls_key is not the key of the first certificate in tls_cert"),
        ([CHAIN, KEY, b"# none yet\n"], "tls_client_ca is not PEM of certificates"),
        ([CHAIN, KEY, CA + CA[:90]], "tls_client_ca ends in the middle of a certificate"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_setting_and_the_reason(
    contents: list[bytes], reason: str
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # the text is compared
        parse_certificates(contents)

    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("key", "is_taken"),
    [
        (rsa.generate_private_key(65537, 2048), True),
        (ec.generate_private_key(ec.SECP256R1()), True),
        (ec.generate_private_key(ec.SECP384R1()), True),
        (ec.generate_private_key(ec.SECP521R1()), False),
        (ec.generate_private_key(ec.SECP256K1()), False),
        (ed25519.Ed25519PrivateKey.generate(), False),
    ],
    ids=["rsa", "p256", "p384", "p521", "secp256k1", "ed25519"],
)
def test_keys_that_no_handshake_would_succeed_with_are_refused(
    key: PrivateKeyTypes, is_taken: bool
) -> None:
    if is_taken:
        parse_certificates(self_signed(key))
    else:
        with pytest.raises(ValueError, match="must be RSA, P-256 or P-384"):
            parse_certificates(self_signed(key))
