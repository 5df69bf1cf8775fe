"""The flags of `recserve-serve`."""

import argparse
from importlib.metadata import version

from recserve_server.cli.operation_flags import (
    add_access_flags,
    add_connection_flags,
    add_observing_flags,
    add_operation_flags,
)
from recserve_server.cli.paths import path_of
from recserve_server.config import BatchingConfig, EventsConfig, Limits, VersionsConfig

_DESCRIPTION = """\
Serves the newest good version under MODELS/NAME by gRPC: recserve.v1, grpc.health.v1. Prints
`serving NAME version V on HOST:PORT` when ready. SIGHUP: look for new versions. SIGTERM:
NOT_SERVING, drain, exit."""
_EPILOG = """\
`recserve-serve admin` talks to a running server; `recserve-serve doctor` looks whether one could
run here. Exit codes: 0 stopped by a signal, 1 could not start, 2 wrong usage."""


def serve_parser(prog: str = "recserve-serve") -> argparse.ArgumentParser:
    """Returns the parser of everything that a server can be told at start."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--models",
        type=path_of,
        required=True,
        metavar="DIR",
        help="folder of NAME/VERSION, as recserve-train publishes",
    )
    add(
        "--name",
        default="",
        metavar="NAME,...",
        help="models to serve, the first being the one of requests that name none; not needed if "
        "there is only one",
    )
    add("--address", default="localhost:8500", metavar="HOST:PORT", help="port 0 picks one")
    add(
        "--admin-address",
        default="localhost:9090",
        metavar="HOST:PORT",
        help="where to answer GET /metrics, /livez, /readyz; '' for nowhere, port 0 picks one",
    )
    add("--max-k", type=int, default=Limits().max_k, help="largest k that a request may ask")
    _add_versions(parser)
    _add_batching(parser)
    _add_events(parser)
    add_operation_flags(parser)
    add_connection_flags(parser)
    add_access_flags(parser)
    add_observing_flags(parser)
    add(
        "--print-config",
        action="store_true",
        help="print the settings in effect as JSON and exit",
    )
    add("--version", action="version", version=version("recserve-server"))
    return parser


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split(",") if size)


def _add_versions(parser: argparse.ArgumentParser) -> None:
    group, versions = parser.add_argument_group("model versions"), VersionsConfig()
    add = group.add_argument
    add(
        "--versions",
        default=str(versions.policy),
        metavar="POLICY",
        help="which to load besides those with a label: latest, latest:N or specific:V,V",
    )
    add(
        "--poll-interval",
        type=float,
        default=versions.poll_interval_s,
        metavar="SECONDS",
        help="time between two looks for new versions; 0 looks at SIGHUP only",
    )
    add(
        "--memory-policy",
        choices=("availability", "frugal"),
        default=versions.memory_policy.value,
        help="availability: the old version answers until the new one does; frugal: it is freed "
        "before the new one is loaded, and calls fail meanwhile",
    )
    add(
        "--labels",
        type=path_of,
        metavar="FILE",
        help="JSON that keeps pins and canaries over restarts; read again at SIGHUP",
    )
    add(
        "--wait-for-model",
        action="store_true",
        help="wait, NOT_SERVING, while there is no good version at start, instead of ending",
    )
    add(
        "--min-golden-overlap",
        type=float,
        default=versions.min_golden_overlap,
        metavar="SHARE",
        help="share of the items expected at export that a new version must answer",
    )
    add(
        "--min-serving-overlap",
        type=float,
        default=versions.min_serving_overlap,
        metavar="SHARE",
        help="share of the serving version's items that a new one must answer; 0 does not compare",
    )


def _add_batching(parser: argparse.ArgumentParser) -> None:
    group, batching = parser.add_argument_group("batching and overload"), BatchingConfig()
    add = group.add_argument
    add(
        "--max-batch-size",
        type=int,
        default=batching.max_batch_size,
        help="requests per model call",
    )
    add(
        "--batch-timeout-micros",
        type=int,
        default=batching.batch_timeout_micros,
        help="longest wait for company while the server is busy",
    )
    add(
        "--allowed-batch-sizes",
        type=_sizes,
        default=batching.allowed_batch_sizes,
        metavar="N,N,...",
        help="sizes to pad batches to, the last being --max-batch-size; empty picks them",
    )
    add(
        "--watchdog",
        type=float,
        default=batching.watchdog_s,
        metavar="SECONDS",
        help="a model call that takes longer makes the server NOT_SERVING",
    )
    add(
        "--max-enqueued",
        type=int,
        default=batching.max_enqueued,
        help="requests waiting; one more is refused",
    )
    add(
        "--max-queue-delay-ms",
        type=float,
        default=batching.max_queue_delay_ms,
        metavar="MS",
        help="a request whose wait is estimated to be longer is refused; 0 for no bound",
    )
    add(
        "--tenant-key",
        default=batching.tenant_key,
        metavar="KEY",
        help="metadata key that tells tenants apart, who share the queue fairly; empty takes the "
        "authenticated caller, or else the client's address",
    )


def _add_events(parser: argparse.ArgumentParser) -> None:
    group, events = parser.add_argument_group("recorded events"), EventsConfig()
    add = group.add_argument
    add(
        "--events",
        default=events.location,
        metavar="PATH|URL",
        help="where RecordEvents keeps events: a file of SQLite, or redis://HOST:PORT/DB for "
        "several servers; '' for nowhere",
    )
    add(
        "--events-retention-days",
        type=float,
        default=events.retention_days,
        metavar="DAYS",
        help="age at which events are deleted; 0 for never",
    )
    add(
        "--events-max-per-user",
        type=int,
        default=events.max_per_user,
        metavar="N",
        help="newest events of a user that count",
    )
    add(
        "--events-read-timeout-ms",
        type=float,
        default=events.read_timeout_ms,
        metavar="MS",
        help="longest that an answer waits for events before it is given without",
    )
    add(
        "--events-write-timeout-ms",
        type=float,
        default=events.write_timeout_ms,
        metavar="MS",
        help="longest that RecordEvents waits for the store",
    )
    add(
        "--forget-user",
        default="",
        metavar="ID",
        help="delete a user's events and exit; with SQLite, while no server runs on the file",
    )
