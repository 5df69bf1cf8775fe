"""A TCP connection that never blocks, with or without TLS."""

import os
import socket
import ssl
from typing import Final, NamedTuple

from recserve_client.loadtest.plan import Endpoint, PlanError

_RECEIVE_BYTES: Final = 2**18
_NOT_YET: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Address(NamedTuple):
    """Where to connect to."""

    family: socket.AddressFamily
    place: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


def resolve(host: str, port: int) -> list[Address]:
    """Returns the addresses of a name.

    Raises:
        OSError: it has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [Address(family, place) for family, _, _, _, place in found]


def tls_context(endpoint: Endpoint) -> ssl.SSLContext | None:
    """Returns how to speak TLS with the endpoint, None if in plain text.

    Raises:
        PlanError: its certificates cannot be used.
    """
    files = endpoint.tls
    if files is None:
        return None
    try:
        context = ssl.create_default_context(cafile=files.roots)
        if files.certificate is not None:
            # Without a password OpenSSL would ask the terminal for one.
            context.load_cert_chain(files.certificate, files.key, password="")
    except OSError as error:
        used = [str(path) for path in (files.roots, files.certificate, files.key) if path]
        raise PlanError(f"one of {', '.join(used)} cannot be used: {error}") from error
    # From Python 3.13 on refuses authorities that gRPC's clients take, such as those made by
    # `openssl req -x509`, which do not say what their keys are for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["h2"])
    return context


class Transport:
    """One connection, from the first packet on."""

    def __init__(self, address: Address, tls: ssl.SSLContext | None, host: str) -> None:
        """Begins to connect.

        Raises:
            OSError: it cannot.
        """
        self.socket = socket.socket(address.family, socket.SOCK_STREAM)
        self.is_open = False
        """Whether bytes can be sent."""
        self.wants_write = True
        """Whether `advance` waits for the socket to become writable."""
        self._tls, self._host = tls, host
        try:
            self.socket.setblocking(False)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket.connect(address.place)
        except BlockingIOError:
            return
        except OSError:
            self.socket.close()
            raise

    def advance(self) -> bool:
        """Goes on connecting as far as it can; returns whether it is open.

        Raises:
            OSError: no connection comes about.
        """
        if self.is_open:
            return True
        if not isinstance(self.socket, ssl.SSLSocket) and not self._connected():
            return False
        if isinstance(self.socket, ssl.SSLSocket):
            return self._shake_hands(self.socket)
        self.is_open, self.wants_write = True, False
        return True

    def _connected(self) -> bool:
        if error := self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, os.strerror(error))
        try:
            self.socket.getpeername()
        except OSError:
            return False
        if self._tls is not None:
            self.socket = self._tls.wrap_socket(
                self.socket, server_hostname=self._host, do_handshake_on_connect=False
            )
        return True

    def _shake_hands(self, secured: ssl.SSLSocket) -> bool:
        try:
            secured.do_handshake()
        except ssl.SSLWantReadError:
            self.wants_write = False
            return False
        except ssl.SSLWantWriteError:
            self.wants_write = True
            return False
        if secured.selected_alpn_protocol() != "h2":
            raise ConnectionError("the server does not offer HTTP/2 over TLS")
        self.is_open, self.wants_write = True, False
        return True

    def send(self, data: bytes) -> int:
        """Returns how many bytes the socket took, 0 if none for now.

        Raises:
            OSError: the connection is lost.
        """
        try:
            return self.socket.send(data)
        except _NOT_YET:
            return 0

    def receive(self) -> bytes | None:
        """Returns what has come: None if nothing for now, no bytes if there will be no more.

        Raises:
            OSError: the connection is lost.
        """
        try:
            data = self.socket.recv(_RECEIVE_BYTES)
        except _NOT_YET:
            return None
        if isinstance(self.socket, ssl.SSLSocket):
            # What is decrypted already makes no socket readable.
            while pending := self.socket.pending():
                data += self.socket.recv(pending)
        return data

    def fileno(self) -> int:
        """Returns the socket's descriptor."""
        return self.socket.fileno()

    def close(self) -> None:
        """Closes the socket."""
        self.socket.close()
