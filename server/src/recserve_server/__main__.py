"""argv -> ServerConfig -> run; the only reader of argv and environ."""

import argparse
import asyncio
import dataclasses
import json
import os
import re
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from recserve_server.config import BatchingConfig, EventsConfig, Limits, ServerConfig

_DESCRIPTION = """\
Serves the newest good version under MODELS/NAME by gRPC: recserve.v1, grpc.health.v1. Prints
`serving NAME version V on HOST:PORT` when ready. SIGTERM: NOT_SERVING, drain, exit."""
_EPILOG = "Exit codes: 0 stopped by a signal, 1 could not start, 2 wrong usage."


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `recserve-serve`; returns its exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        config = _config(arguments)
    except ValueError as error:
        parser.error(str(error))
    if arguments.print_config:
        print(_as_json(config))
        return 0
    if arguments.forget_user:
        return _forget(config.events, arguments.forget_user)
    # gRPC's core would print lines of its own on standard error, between ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # After the arguments are known to be good: this imports gRPC.
    from recserve_server.lifecycle import StartError, run_server
    from recserve_server.logs import configure_logging
    from recserve_server.model_store import NoModelError

    configure_logging(config.log_level, config.log_format)
    try:
        asyncio.run(run_server(config))
    except (StartError, NoModelError) as error:
        print(f"recserve-serve: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 1
    return 0


def _forget(config: EventsConfig, user_id: str) -> int:
    from recserve_server.errors import StoreUnavailable
    from recserve_server.events.opening import store_of

    async def forget() -> int:
        store = store_of(config)
        if store is None:
            raise ValueError("--forget-user needs --events, which says where events are kept")
        await store.open()
        try:
            return await store.forget(user_id)
        finally:
            await store.close()

    try:
        count = asyncio.run(forget())
    except (ValueError, StoreUnavailable) as error:
        print(f"recserve-serve: {error}", file=sys.stderr)
        return 1
    print(f"deleted {count} events")
    return 0


def _config(arguments: argparse.Namespace) -> ServerConfig:
    return ServerConfig(
        models_dir=arguments.models,
        name=arguments.name,
        address=arguments.address,
        admin_address=arguments.admin_address,
        reflection=arguments.reflection,
        drain_delay_s=arguments.drain_delay,
        grace_s=arguments.grace,
        max_pending=arguments.max_pending,
        min_ping_interval_s=arguments.min_ping_interval,
        log_level=arguments.log_level,
        log_format=arguments.log_format,
        batching=BatchingConfig(
            max_batch_size=arguments.max_batch_size,
            batch_timeout_micros=arguments.batch_timeout_micros,
            max_enqueued=arguments.max_enqueued,
            allowed_batch_sizes=arguments.allowed_batch_sizes,
            watchdog_s=arguments.watchdog,
        ),
        limits=Limits(max_k=arguments.max_k),
        events=EventsConfig(
            location=arguments.events,
            retention_days=arguments.events_retention_days,
            max_per_user=arguments.events_max_per_user,
            read_timeout_ms=arguments.events_read_timeout_ms,
            write_timeout_ms=arguments.events_write_timeout_ms,
        ),
    )


def _as_json(config: ServerConfig) -> str:
    settings = dataclasses.asdict(config)
    settings["events"]["location"] = _without_password(config.events.location)
    settings["batching"]["allowed_batch_sizes"] = config.batching.batch_sizes
    return json.dumps(settings, indent=2, default=str)


def _without_password(url: str) -> str:
    return re.sub(r"(?<=//)([^:@/]*):[^@/]*@", r"\1:***@", url)


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split(",") if size)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="recserve-serve",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--models",
        type=lambda text: Path(text).expanduser(),
        required=True,
        metavar="DIR",
        help="folder of NAME/VERSION, as recserve-train publishes",
    )
    add("--name", default="", help="model to serve; not needed if there is only one")
    add("--address", default="localhost:8500", metavar="HOST:PORT", help="port 0 picks one")
    add(
        "--admin-address",
        default="localhost:9090",
        metavar="HOST:PORT",
        help="where to answer GET /metrics; '' for nowhere, port 0 picks one",
    )
    add("--max-k", type=int, default=Limits().max_k, help="largest k that a request may ask")
    _add_batching(parser)
    _add_events(parser)
    _add_operation(parser)
    add(
        "--print-config",
        action="store_true",
        help="print the settings in effect as JSON and exit",
    )
    add("--version", action="version", version=version("recserve-server"))
    return parser


def _add_batching(parser: argparse.ArgumentParser) -> None:
    add, batching = parser.add_argument, BatchingConfig()
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


def _add_events(parser: argparse.ArgumentParser) -> None:
    add, events = parser.add_argument, EventsConfig()
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


def _add_operation(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--min-ping-interval",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="shortest time between keepalive pings of a client; who pings faster is cut off",
    )
    add(
        "--max-pending",
        type=int,
        default=1024,
        help="calls not looked at yet; beyond it gRPC lets them go as CANCELLED",
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


if __name__ == "__main__":
    sys.exit(main())
