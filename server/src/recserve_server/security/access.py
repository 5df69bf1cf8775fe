"""Lets known callers do what they may, and nobody else anything."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from recserve_server.calls.call import Context, Metadata
from recserve_server.config import AccessConfig
from recserve_server.errors import PermissionDenied, ServingError, Unauthenticated
from recserve_server.security.callers import (
    LONGEST_TOKEN,
    Caller,
    Callers,
    Permission,
    parse_callers,
)
from recserve_server.security.followed import FollowedFiles

REASONS: Final = ("missing", "unknown", "expired", "too_long", "denied")
"""Why a call is refused: it shows no caller, an unknown one, one whose time is over, a token that
nobody can have, or a caller who may not do this."""

_log = logging.getLogger(__name__)
_KEY: Final = "authorization"
_SCHEME: Final = "bearer "
_LOOK_EVERY_S: Final = 1.0
_HEALTH: Final = "/grpc.health.v1.Health"
_BY_SERVICE: Final = {
    "/recserve.v1.RecommendationService": Permission.RECOMMEND,
    "/recserve.v1.FeedbackService": Permission.FEEDBACK,
}
_BY_METHOD: Final = {"/recserve.v1.ModelService/GetModel": Permission.RECOMMEND}


def required_permission(method: str) -> Permission | None:
    """Returns what a caller of `/package.Service/Method` needs; None if being known is enough.

    What is not named here needs most: a method that comes later is closed until somebody thinks
    of it.
    """
    service = method.rpartition("/")[0]
    if service == _HEALTH:
        return None
    return _BY_METHOD.get(method) or _BY_SERVICE.get(service, Permission.ADMIN)


class AccessControl:
    """Finds out who calls, and whether they may; its `admit` is a `calls.arrival.Admit`.

    A caller shows a bearer token or a certificate. A token, if there is one, is all that counts:
    the certificate may be a proxy's, and a token that is wrong must not be let in as another.
    """

    def __init__(
        self,
        config: AccessConfig,
        *,
        asks_for_certificates: bool = False,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reads the callers.

        Args:
            config: where they are.
            asks_for_certificates: whether clients have certificates that were verified.
            clock: tells Unix time, for what expires.
            monotonic: tells when it is time to look at the file again.

        Raises:
            ValueError: the file cannot be used, or is not set.
        """
        if config.callers_file is None:
            raise ValueError("access needs a file of callers")
        self.refused: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        """Calls that were refused, by reason."""
        self._asks_for_certificates = asks_for_certificates
        self._health_needs_caller = config.health_needs_caller
        self._clock, self._monotonic = clock, monotonic
        path = config.callers_file
        self._name = str(path)
        self._file: FollowedFiles[Callers] = FollowedFiles(
            "file of callers", [path], self._parse, secret=path
        )
        self._look_at_s = monotonic() + _LOOK_EVERY_S

    @property
    def rotations(self) -> int:
        """Times that other callers were read."""
        return self._file.rotations

    @property
    def failures(self) -> int:
        """Times that the file had changed and could not be used."""
        return self._file.failures

    @property
    def is_stale(self) -> bool:
        """Whether the file that is there cannot be used, and what was read before is."""
        return self._file.is_stale

    def refresh(self) -> None:
        """Looks at the file; calls do so once in a second."""
        self._file.refresh()

    def admit(self, method: str, metadata: Metadata, context: Context) -> str:
        """Returns the caller's name; empty for health checks, if anybody may make them.

        Raises:
            Unauthenticated: the call shows no caller that there is.
            PermissionDenied: the caller may not do this.
        """
        needed = required_permission(method)
        if needed is None and not self._health_needs_caller:
            return ""
        if (now_s := self._monotonic()) >= self._look_at_s:
            self._look_at_s = now_s + _LOOK_EVERY_S
            self.refresh()
        caller = self._caller(metadata, context)
        if caller.expires_s <= self._clock():
            raise self._counted("expired", Unauthenticated("the caller's access has expired"))
        if needed is not None and needed not in caller.may:
            raise self._counted("denied", PermissionDenied(caller.name, method, needed.value))
        return caller.name

    def _caller(self, metadata: Metadata, context: Context) -> Caller:
        sent = [value for key, value in metadata if key == _KEY]
        if not sent:
            return self._of_certificate(context)
        # With two of them, what is in front of the server may have gone by the other one.
        token = _bearer_token(sent[0]) if len(sent) == 1 else None
        if token is not None and len(token) > LONGEST_TOKEN:
            error = Unauthenticated(f"the token is longer than {LONGEST_TOKEN} characters")
            raise self._counted("too_long", error)
        caller = None if token is None else self._file.content.of_token(token)
        if caller is None:
            raise self._counted("unknown", Unauthenticated("the authorization is not known here"))
        return caller

    def _of_certificate(self, context: Context) -> Caller:
        by_certificate = self._file.content.by_certificate
        # Its alternative names, or, if it has none, its common name.
        names: Iterable[bytes] = (by_certificate and context.peer_identities()) or ()
        for name in names:
            if (caller := by_certificate.get(name.decode(errors="replace"))) is not None:
                return caller
        if names:
            text = "the call has no token, and its certificate is not known here"
            raise self._counted("unknown", Unauthenticated(text))
        raise self._counted("missing", Unauthenticated("the call has no bearer token"))

    def _counted(self, reason: str, error: ServingError) -> ServingError:
        self.refused[reason] += 1
        return error

    def _parse(self, contents: Sequence[bytes], before: Callers | None) -> Callers:
        try:
            callers = parse_callers(contents[0])
        except ValueError as error:
            raise ValueError(f"{self._name} {error}") from error
        if callers.by_certificate and not self._asks_for_certificates:
            raise ValueError(f"{self._name} names certificates, which need tls_client_ca")
        return callers


def _bearer_token(sent: str | bytes) -> str | None:
    if not isinstance(sent, str) or sent[: len(_SCHEME)].lower() != _SCHEME:
        return None
    return sent[len(_SCHEME) :]
