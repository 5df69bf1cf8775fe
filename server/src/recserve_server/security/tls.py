"""The server's end of TLS, renewed without a restart."""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import grpc

from recserve_server.config import TlsConfig
from recserve_server.security.certificates import Certificates, parse_certificates
from recserve_server.security.followed import FollowedFiles

_log = logging.getLogger(__name__)


class ServerTls:
    """Certificate, key and clients' authorities, of which each new connection gets the newest.

    Connections that are there keep theirs until they end, at the latest by the age that
    `ConnectionsConfig` allows them.
    """

    def __init__(self, config: TlsConfig, *, clock: Callable[[], float] = time.time) -> None:
        """Reads the files; `clock` tells Unix time.

        A certificate that has expired is no reason not to start: its successor may be under way,
        and is taken once it is there.

        Raises:
            ValueError: they cannot be used, or are not set.
        """
        if config.certificate is None or config.key is None:
            raise ValueError("tls needs tls_cert and tls_key")
        self._clock = clock
        paths = [config.certificate, config.key]
        if config.client_ca is not None:
            paths.append(config.client_ca)
        self._files: FollowedFiles[Certificates] = FollowedFiles(
            "TLS files", paths, self._parse, secret=config.key
        )
        self.asks_for_certificates = config.client_ca is not None
        """Whether a client needs a certificate."""

    @property
    def not_after(self) -> float:
        """When the certificate in use expires, in Unix time."""
        return self._files.content.not_after

    @property
    def rotations(self) -> int:
        """Times that new files were taken."""
        return self._files.rotations

    @property
    def failures(self) -> int:
        """Times that new files could not be used."""
        return self._files.failures

    @property
    def is_stale(self) -> bool:
        """Whether the files that are there cannot be used, and older ones are."""
        return self._files.is_stale

    def refresh(self) -> None:
        """Looks at the files; each new connection does so by itself."""
        self._files.refresh()

    def credentials(self) -> grpc.ServerCredentials:
        """Returns what one port is opened with."""
        given = self._files.content

        def newest() -> grpc.ServerCertificateConfiguration | None:
            nonlocal given  # gRPC asks before every handshake, one at a time for a port
            self.refresh()
            if given is self._files.content:
                return None
            given = self._files.content
            return _configuration(given)

        return grpc.dynamic_ssl_server_credentials(
            _configuration(given),
            newest,  # type: ignore[arg-type]  # None is for no change
            self.asks_for_certificates,
        )

    def _parse(self, contents: Sequence[bytes], before: Certificates | None) -> Certificates:
        found, now_s = parse_certificates(contents), self._clock()
        if found.is_valid_at(now_s):
            return found
        dates = " to ".join(
            datetime.fromtimestamp(each, UTC).isoformat()
            for each in (found.not_before, found.not_after)
        )
        # Unless it is no worse than the one in use.
        if before is not None and before.is_valid_at(now_s):
            raise ValueError(f"tls_cert is valid from {dates}, must be valid now")
        _log.error(
            "the TLS certificate is not valid now: clients refuse it", extra={"valid": dates}
        )
        return found


def _configuration(certificates: Certificates) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(certificates.key, certificates.chain)], certificates.client_ca
    )
