"""`recserve-serve` itself: serve until a signal."""

import asyncio
import os
import resource
import sys
from collections.abc import Sequence
from typing import Final

from recserve_server.cli.flags import serve_parser
from recserve_server.cli.settings import as_json, config_of
from recserve_server.config import EventsConfig, ServerConfig

_FEWEST_FILES: Final = 64


def serve(argv: Sequence[str] | None) -> int:
    """Serves, or does the one thing that a flag asks for instead; returns the exit code."""
    parser = serve_parser()
    arguments = parser.parse_args(argv)
    try:
        config = config_of(arguments)
    except ValueError as error:
        parser.error(str(error))
    if arguments.print_config:
        print(as_json(config))
        return 0
    if arguments.forget_user:
        return _forget(config.events, arguments.forget_user)
    return _run(config)


def _run(config: ServerConfig) -> int:
    if (limit := resource.getrlimit(resource.RLIMIT_NOFILE)[0]) < _FEWEST_FILES:
        # gRPC would crash, or say that the port is in use.
        print(
            f"recserve-serve: {limit} open files are allowed, at least {_FEWEST_FILES} are needed: "
            "ulimit -n",
            file=sys.stderr,
        )
        return 1
    # gRPC's core would print lines of its own on standard error, between ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # After the arguments are known to be good: this imports gRPC.
    from recserve_server.garbage import spare_what_stays
    from recserve_server.lifecycle import StartError, run_server
    from recserve_server.logs import configure_logging
    from recserve_server.models.store import NoModelError

    configure_logging(config.log_level, config.log_format)
    spare_what_stays()
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
