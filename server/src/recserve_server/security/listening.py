"""Ports, with TLS or without."""

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
