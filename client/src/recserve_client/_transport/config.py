"""How a client connects and what it does when calls go badly: data, checked at birth."""

from dataclasses import dataclass, field
from enum import StrEnum

import grpc

from .tokens import TokenSource


class Compression(StrEnum):
    """How requests are compressed; the server answers in kind."""

    NONE = "none"
    """Not at all; the best in one network, where messages are small."""
    GZIP = "gzip"
    """Smallest."""
    DEFLATE = "deflate"
    """A little less work."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tls:
    """A secured connection; all of it is PEM."""

    root_certificates: bytes | None = None
    """Whom to trust; None means those that gRPC brings."""
    certificate_chain: bytes | None = None
    """The client's own certificate, for servers that ask for one (mTLS)."""
    private_key: bytes | None = field(default=None, repr=False)
    """The key of the client's certificate."""
    server_name: str = ""
    """Name to find in the server's certificate; empty means the target's own."""

    def __post_init__(self) -> None:
        """Raises ValueError if one of certificate and key is there without the other."""
        if (self.certificate_chain is None) != (self.private_key is None):
            raise ValueError("certificate_chain and private_key must be given together")


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelConfig:
    """How the connection behaves; the defaults suit a server in the same network."""

    max_send_bytes: int = 1 << 20
    """Largest request; the server accepts no more either."""
    max_receive_bytes: int = 16 << 20
    """Largest response."""
    compression: Compression = Compression.NONE
    """How requests are compressed."""

    max_attempts: int = 3
    """Tries per call, first one included, while the server is unavailable; 1 turns retries off.
    They end with the deadline, and stop while more than about one call in ten fails."""
    initial_backoff_s: float = 0.05
    """Seconds before the second try, give or take a random part."""
    max_backoff_s: float = 1.0
    """Longest wait between two tries, in seconds."""
    backoff_multiplier: float = 2.0
    """How much longer each wait is than the one before."""
    wait_when_told: bool = False
    """Whether a call that the server refuses with the advice to come back after a while (it is
    overloaded, or starting) waits that long and is made again, as often as its deadline allows;
    otherwise it raises at once, with `retry_after_s`."""
    hedge_after_s: float | None = None
    """Seconds after which a read without an answer is sent a second time, to another replica if
    there are several; the first answer counts and the other call is cancelled. At most one call in
    ten is sent twice. None means that none is. The 95th percentile of the latency is a good choice.
    """

    round_robin: bool = True
    """Whether calls go to all addresses of the target in turn; otherwise to the first that
    answers."""
    health_checks: bool | None = None
    """Whether calls are kept from replicas whose health says NOT_SERVING. None means: where the
    target names several servers, that is several addresses or "dns:///name:port". With checks, what
    a server that is starting would say of itself is not seen."""
    max_reconnect_s: float = 5.0
    """Longest wait between two tries to reach a server that is gone, in seconds."""
    keepalive_s: float = 30.0
    """Seconds of silence after which the server is pinged, and the connection given up if it does
    not answer; 0 means never. recserve allows a ping each 10 seconds."""

    tls: Tls | None = None
    """Secures the connection; None means plain text."""
    credentials: grpc.ChannelCredentials | None = field(default=None, repr=False)
    """gRPC's own credentials instead of `tls`."""
    bearer_token: TokenSource | None = field(default=None, repr=False)
    """Sent as `authorization: Bearer ...`: a text, or what returns the one to send."""
    token_in_plain_text: bool = False
    """Whether the token may be sent over a connection that is not secured."""

    def __post_init__(self) -> None:
        """Raises ValueError naming the first field that is out of range."""
        if min(self.max_send_bytes, self.max_receive_bytes) < 1:
            raise ValueError(
                f"max_send_bytes and max_receive_bytes must be at least 1, "
                f"got {self.max_send_bytes} and {self.max_receive_bytes}"
            )
        if not isinstance(self.compression, Compression):
            names = ", ".join(Compression)
            raise ValueError(f"compression is {self.compression!r}, must be a Compression: {names}")
        self._check_retries()
        self._check_connection()
        self._check_security()

    def _check_retries(self) -> None:
        # gRPC silently takes more than five attempts as five.
        if not 1 <= self.max_attempts <= 5:
            raise ValueError(f"max_attempts must be in 1..5, got {self.max_attempts}")
        # A wait of less than a millisecond, its random part included, never ends in grpcio 1.85.
        if not 0.01 <= self.initial_backoff_s <= self.max_backoff_s <= 60:
            raise ValueError(
                "backoff must satisfy 0.01 <= initial_backoff_s <= max_backoff_s <= 60, "
                f"got {self.initial_backoff_s} and {self.max_backoff_s}"
            )
        if not 1 <= self.backoff_multiplier <= 10:
            raise ValueError(f"backoff_multiplier must be in 1..10, got {self.backoff_multiplier}")
        if self.hedge_after_s is not None and not 0 < self.hedge_after_s <= 60:
            raise ValueError(
                f"hedge_after_s must be above 0, at most 60, or None, got {self.hedge_after_s}"
            )

    def _check_connection(self) -> None:
        if not 0.1 <= self.max_reconnect_s <= 600:
            raise ValueError(f"max_reconnect_s must be in 0.1..600, got {self.max_reconnect_s}")
        if self.keepalive_s != 0 and not 0.1 <= self.keepalive_s <= 86_400:
            raise ValueError(f"keepalive_s must be 0 or in 0.1..86400, got {self.keepalive_s}")
        if self.health_checks and not self.round_robin:
            raise ValueError("health_checks need round_robin: gRPC does not check otherwise")

    def _check_security(self) -> None:
        if self.tls is not None and self.credentials is not None:
            raise ValueError("tls and credentials must not both be given")
        if self.bearer_token is not None and not (self.is_secure or self.token_in_plain_text):
            raise ValueError(
                "bearer_token would be sent in plain text, must have tls or credentials; "
                "token_in_plain_text allows it, for a network that is secured otherwise"
            )

    @property
    def is_secure(self) -> bool:
        """Whether the connection is secured."""
        return self.tls is not None or self.credentials is not None
