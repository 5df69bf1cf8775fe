"""A port that stays a server's own while it is down."""

import os
import socket
import weakref
from typing import Final

HOST: Final = "127.0.0.1"


class ReservedPort:
    """A free port of the loopback interface, kept for as long as the object lives.

    A socket that is bound but does not listen keeps the system from giving the port to somebody
    else, be it as the local end of a connection, while nothing listens on it. Systems without
    SO_REUSEPORT do not allow that; there the port is only likely to stay free.
    """

    def __init__(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as bound:
            self.is_kept = _shares_its_port(bound)
            """Whether who listens must share the port, by SO_REUSEPORT."""
            bound.bind((HOST, 0))
            self.number: int = bound.getsockname()[1]
            """The port."""
            if self.is_kept:
                weakref.finalize(self, os.close, bound.detach())


def _shares_its_port(bound: socket.socket) -> bool:
    option = getattr(socket, "SO_REUSEPORT", None)
    if option is None:
        return False
    try:
        bound.setsockopt(socket.SOL_SOCKET, option, 1)
    except OSError:  # known to the headers, not to the kernel
        return False
    return True
