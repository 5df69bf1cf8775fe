"""Addresses that a server listens on: HOST:PORT."""

import errno
import socket
from typing import Any, TypeAlias

_Place: TypeAlias = tuple[Any, ...]
"""As `socket.getaddrinfo` returns it: family, kind, protocol, canonical name, address."""
_LOOPBACK = ("127.0.0.1", "::1")
"""What localhost stands for to gRPC, whatever /etc/hosts says (RFC 6761, 6.3)."""
_ATTEMPTS = 100


def try_to_listen(address: str) -> OSError | None:
    """Listens for a moment; returns why nothing can, None if it can.

    A name may stand for several addresses, as localhost does for one of IPv4 and one of IPv6. One
    that this machine does not have is no matter as long as it has another; one where somebody else
    listens is: whoever calls it would reach them. `socket.gaierror` is returned for a name that
    stands for no address.
    """
    try:
        errors = [_try(place) for place in _places(address)]
    except OSError as error:
        return error
    failed = [error for error in errors if error is not None]
    taken = [error for error in failed if error.errno == errno.EADDRINUSE]
    if taken or len(failed) == len(errors):
        return (taken or failed)[0]
    return None


def settled(address: str) -> str:
    """Returns where gRPC is to listen: a free address, with a port if its own is 0.

    gRPC itself is content with one of the addresses that a name stands for.

    Raises:
        OSError: nothing can listen there; see `try_to_listen`.
    """
    if error := try_to_listen(address):
        raise error
    host, _, port = address.rpartition(":")
    if int(port) or len(_places(address)) == 1:
        return address
    for _ in range(_ATTEMPTS):
        candidate = f"{host}:{_free_port(address)}"
        if try_to_listen(candidate) is None:
            return candidate
    raise OSError(errno.EADDRINUSE, "no port is free on all of its addresses")


def why_not(error: Exception) -> str:
    """Returns why nothing can listen; gRPC, whose errors are no `OSError`, does not tell."""
    if not isinstance(error, OSError) or error.errno == errno.EADDRINUSE:
        return "is the port in use?"
    return str(error.strerror or error)


def _places(address: str) -> list[_Place]:
    """Returns what an address stands for, IPv4 first: it is there even without IPv6."""
    host, _, port = address.rpartition(":")
    names = _LOOPBACK if host == "localhost" else (host.strip("[]"),)
    found = [
        place
        for name in names
        for place in socket.getaddrinfo(name, int(port), type=socket.SOCK_STREAM)
    ]
    return sorted(found, key=lambda place: place[0] != socket.AF_INET)


def _try(place: _Place) -> OSError | None:
    try:
        _listen(place).close()
    except OSError as error:
        return error
    return None


def _free_port(address: str) -> int:
    with _listen(_places(address)[0]) as listening:
        return int(listening.getsockname()[1])


def _listen(place: _Place) -> socket.socket:
    family, kind, protocol, _, where = place
    listening = socket.socket(family, kind, protocol)
    try:
        # Else connections of a server that has just gone would be in the way.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen()
    except OSError:
        listening.close()
        raise
    return listening
