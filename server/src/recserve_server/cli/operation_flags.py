"""Flags of running a server: its end, connections, callers, and what it writes down."""

import argparse

from recserve_server.cli.paths import path_of
from recserve_server.config import AccessConfig, ConnectionsConfig, ObservingConfig


def add_operation_flags(parser: argparse.ArgumentParser) -> None:
    """Adds those of its start and end, and of its log."""
    add = parser.add_argument_group("operation").add_argument
    add(
        "--admin-socket",
        type=path_of,
        metavar="PATH",
        help="where `recserve-serve admin` reaches the server; only its own user can",
    )
    add("--grace", type=float, default=10.0, metavar="SECONDS", help="time to finish calls")
    add(
        "--drain-delay",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="time between NOT_SERVING and refusing calls",
    )
    add("--reflection", action="store_true", help="answer gRPC server reflection")
    add("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    add(
        "--log-format",
        default="auto",
        choices=("auto", "json", "text"),
        help="auto: text on a terminal, else json",
    )


def add_connection_flags(parser: argparse.ArgumentParser) -> None:
    """Adds bounds of connections."""
    connections = ConnectionsConfig()
    add = parser.add_argument_group("connections").add_argument
    add(
        "--max-message-bytes",
        type=int,
        default=connections.max_message_bytes,
        metavar="N",
        help="largest request",
    )
    add(
        "--max-metadata-bytes",
        type=int,
        default=connections.max_metadata_bytes,
        metavar="N",
        help="metadata of a call; twice as much is refused for sure",
    )
    add(
        "--max-concurrent-streams",
        type=int,
        default=connections.max_concurrent_streams,
        metavar="N",
        help="calls at a time on one connection",
    )
    add(
        "--max-pending",
        type=int,
        default=connections.max_pending,
        metavar="N",
        help="calls not looked at yet; beyond it gRPC lets them go as CANCELLED",
    )
    for flag, seconds, text in (
        (
            "--min-ping-interval",
            connections.min_ping_interval_s,
            "shortest time between keepalive pings of a client; who pings faster is cut off",
        ),
        (
            "--max-connection-age",
            connections.max_age_s,
            "age at which a client is asked to connect anew, to whatever replicas there are then; "
            "0 for never",
        ),
        (
            "--max-connection-age-grace",
            connections.max_age_grace_s,
            "time that calls on such a connection get to end",
        ),
        (
            "--max-connection-idle",
            connections.max_idle_s,
            "time without a call until a connection is closed; 0 for never",
        ),
    ):
        add(flag, type=float, default=seconds, metavar="SECONDS", help=text)


def add_access_flags(parser: argparse.ArgumentParser) -> None:
    """Adds TLS and callers."""
    add = parser.add_argument_group("security").add_argument
    add(
        "--tls-cert",
        type=path_of,
        metavar="FILE",
        help="PEM of the server's certificate, read again when it changes; without it anybody on "
        "the way can read along",
    )
    add("--tls-key", type=path_of, metavar="FILE", help="PEM of the certificate's key")
    add(
        "--tls-client-ca",
        type=path_of,
        metavar="FILE",
        help="PEM of authorities: every client then needs a certificate of theirs",
    )
    add(
        "--callers",
        type=path_of,
        metavar="FILE",
        help="TOML of callers' tokens and what each may do; read again when it changes",
    )
    add(
        "--health-needs-caller",
        action="store_true",
        default=AccessConfig().health_needs_caller,
        help="refuse health checks, too, that come without a caller's token or certificate",
    )


def add_observing_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the request log and traces."""
    observing = ObservingConfig()
    add = parser.add_argument_group("observing").add_argument
    add(
        "--request-log",
        type=path_of,
        metavar="FILE",
        help="write a sample of calls and answers as JSON lines",
    )
    add(
        "--request-log-share",
        type=float,
        default=observing.request_log_share,
        metavar="SHARE",
        help="share of calls that is written, 0 to 1",
    )
    add(
        "--request-log-personal",
        action="store_true",
        default=observing.request_log_personal,
        help="write ids of users and items, too, not only how many there were",
    )
    add(
        "--otel",
        action="store_true",
        default=observing.otel,
        help="export spans by OpenTelemetry, as its OTEL_* variables say; needs the extra otel",
    )
