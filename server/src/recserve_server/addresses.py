"""Addresses that a server listens on: HOST:PORT."""

import errno
import socket


def try_to_listen(address: str) -> OSError | None:
    """Listens for a moment; returns why nothing can, None if it can.

    Where a name stands for several addresses, an IPv4 one is tried: it is there even where IPv6 is
    switched off. `socket.gaierror` is returned for a name that stands for none.
    """
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        family, kind, protocol, _, place = min(found, key=lambda each: each[0] != socket.AF_INET)
        with socket.socket(family, kind, protocol) as listening:
            # Else connections of a server that has just gone would be in the way.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(place)
            listening.listen()
    except OSError as error:
        return error
    return None


def why_not(address: str) -> str:
    """Returns why nothing can listen on an address, which gRPC does not tell."""
    error = try_to_listen(address)
    if error is None or error.errno == errno.EADDRINUSE:
        return "is the port in use?"
    return str(error.strerror or error)
