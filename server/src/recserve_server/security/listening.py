"""Ports, with TLS or without."""

import errno
import socket

import grpc

from recserve_server.security.tls import ServerTls


def add_port(server: grpc.aio.Server, address: str, tls: ServerTls | None) -> int:
    """Lets a server listen on `address` (HOST:PORT), and returns the port.

    Raises:
        RuntimeError: nothing can listen there.
    """
    if tls is None:
        return server.add_insecure_port(address)
    return server.add_secure_port(address, tls.credentials())


def why_not(address: str) -> str:
    """Returns why nothing can listen on HOST:PORT, which gRPC does not tell."""
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except OSError as error:
        return str(error.strerror or error)
    for family, kind, protocol, _, place in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.bind(place)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                return str(error.strerror or error)
    return "is the port in use?"
