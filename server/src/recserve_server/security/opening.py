"""Settings to what enforces them."""

import logging
from dataclasses import dataclass

from recserve_server.calls.arrival import Admit
from recserve_server.config import AccessConfig, TlsConfig
from recserve_server.security.access import AccessControl
from recserve_server.security.tls import ServerTls

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Security:
    """What stands between the network and the calls."""

    tls: ServerTls | None = None
    """None if connections are in plain text."""
    access: AccessControl | None = None
    """None if callers need not be known."""

    @property
    def admit(self) -> Admit | None:
        """Lets callers in; None if everybody may come."""
        return None if self.access is None else self.access.admit


def open_security(tls: TlsConfig, access: AccessConfig) -> Security:
    """Reads what the settings name.

    Raises:
        ValueError: a file cannot be used; the text says which and why.
    """
    server_tls = None if tls.certificate is None else ServerTls(tls)
    if access.callers_file is None:
        return Security(server_tls)
    if server_tls is None:
        _log.warning("tokens travel in plain text, since there is no TLS certificate")
    asks_for_certificates = server_tls is not None and server_tls.asks_for_certificates
    return Security(server_tls, AccessControl(access, asks_for_certificates=asks_for_certificates))
