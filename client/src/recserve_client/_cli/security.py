"""Secured servers: the flags that every command has for them, and what they stand for."""

import argparse
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from recserve_client._transport.config import ChannelConfig, Tls
from recserve_client._transport.tokens import BearerToken

from .access import Access, TlsFiles

_TITLE: Final = "secured servers"
# The load tester's help is printed with the lines as they are.
_DESCRIPTION: Final = (
    "A token is no argument, which every program of the machine could read:\n"
    "it is taken from a file or from RECSERVE_TOKEN."
)
_VARIABLE: Final = "RECSERVE_TOKEN"


class CredentialsError(Exception):
    """Credentials that cannot be used; the text is for whoever named them."""


def add_security_flags(parser: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    """Adds the flags; the token may come from the environment."""
    parser.set_defaults(token=environ.get(_VARIABLE, ""))
    group = parser.add_argument_group(_TITLE, _DESCRIPTION)
    add = group.add_argument
    add(
        "--tls",
        action="store_true",
        help="use TLS and trust the system's authorities (default: plain text)",
    )
    for flag, meaning in (
        ("--ca", "use TLS and trust these authorities alone, PEM (default: the system's)"),
        ("--cert", "use TLS and show this certificate of the client, PEM (default: none)"),
        ("--key", "key of that certificate, PEM without a password (default: none)"),
    ):
        add(flag, type=Path, metavar="FILE", help=meaning)
    add(
        "--server-name",
        default="",
        metavar="NAME",
        help="use TLS and find this name in the server's certificate (default: the target's)",
    )
    add(
        "--token-file",
        type=Path,
        metavar="FILE",
        help=f"bearer token to send (default: ${_VARIABLE}, else none)",
    )
    add(
        "--token-in-plain-text",
        action="store_true",
        help="send the token without TLS too, in a network that is secured otherwise "
        "(default: refuse)",
    )


def read_access(flags: argparse.Namespace) -> Access:
    """Reads what the flags say, and the token's file.

    Raises:
        ValueError: they do not go together.
        CredentialsError: there is no token where one should be.
    """
    if (flags.cert is None) != (flags.key is None):
        raise ValueError("one of --cert and --key is given, must be both or none")
    tls = None
    if flags.tls or flags.ca or flags.cert or flags.server_name:
        tls = TlsFiles(
            roots=flags.ca, certificate=flags.cert, key=flags.key, server_name=flags.server_name
        )
    token = _token(flags)
    if token and tls is None and not flags.token_in_plain_text:
        raise ValueError(
            "the token would be sent in plain text, must be with --tls or --ca; "
            "--token-in-plain-text allows it, in a network that is secured otherwise"
        )
    return Access(tls=tls, token=token, token_in_plain_text=flags.token_in_plain_text)


def channel_config(access: Access) -> ChannelConfig:
    """Makes the SDK's configuration of it.

    Raises:
        CredentialsError: a file cannot be read, or holds something else.
    """
    return ChannelConfig(
        tls=None if access.tls is None else _tls(access.tls),
        bearer_token=access.token or None,
        token_in_plain_text=access.token_in_plain_text,
    )


def _token(flags: argparse.Namespace) -> str:
    if flags.token_file is not None:
        place, token = str(flags.token_file), _read(flags.token_file).decode("utf-8", "replace")
    elif flags.token:
        place, token = f"${_VARIABLE}", flags.token
    else:
        return ""
    try:
        return BearerToken(token.strip()).value
    except ValueError as error:
        raise CredentialsError(f"cannot send what is in {place}: {error}") from error


def _tls(files: TlsFiles) -> Tls:
    roots = _system_roots() if files.roots is None else _roots(files.roots)
    if files.certificate is None or files.key is None:
        return Tls(root_certificates=roots, server_name=files.server_name)
    certificate, key = _read(files.certificate), _read(files.key)
    _check_pair(files.certificate, files.key)
    return Tls(
        root_certificates=roots,
        certificate_chain=certificate,
        private_key=key,
        server_name=files.server_name,
    )


def _system_roots() -> bytes | None:
    """Returns the system's authorities; None for gRPC's own, where the system has no such file."""
    path = ssl.get_default_verify_paths().cafile
    return _read(Path(path)) if path else None


def _roots(path: Path) -> bytes:
    roots = _read(path)
    try:
        # Files of authorities may have names beside them, in any language.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(
            cadata=roots.decode("ascii", "ignore")
        )
    except (ssl.SSLError, ValueError) as error:
        raise CredentialsError(f"{path} is not PEM of certificates") from error
    return roots


def _check_pair(certificate: Path, key: Path) -> None:
    """Finds what gRPC would only tell as a connection that fails."""
    try:
        # Without a password OpenSSL would ask the terminal for one.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise CredentialsError(
                f"the key in {key} is not that of the certificate in {certificate}"
            ) from error
        raise CredentialsError(
            f"{certificate} and {key} are no PEM of a certificate and of its key without a password"
        ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CredentialsError(f"cannot read {path}: {error.strerror}") from error
