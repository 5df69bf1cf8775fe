"""From listening to gone: load, serve until a signal, drain."""

import asyncio
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from grpc_health.v1 import health_pb2

from recserve_server.app import SERVICES, App, build_app
from recserve_server.batching import MicroBatcher
from recserve_server.config import ServerConfig
from recserve_server.model import Query, Ranking

_log = logging.getLogger(__name__)
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class StartError(Exception):
    """The server cannot listen; the text says why in one line."""


async def run_server(config: ServerConfig) -> None:
    """Serves until SIGTERM or SIGINT.

    Listens before the model is loaded, so that a port in use is known at once and health checks
    find NOT_SERVING. Prints `serving NAME version V on HOST:PORT` when ready.

    Raises:
        StartError: the address cannot be listened on.
        NoModelError: no version can be served.
    """
    app = build_app(config)
    address = _listen(app, config.address)
    await _set_health(app, _NOT_SERVING)
    await app.server.start()
    with _stop_signals() as stop:
        try:
            batcher = await _load(app, config)
            serving = app.store.serving().location
            if not stop.is_set():
                await _set_health(app, _SERVING)
                print(f"serving {serving.name} version {serving.version} on {address}", flush=True)
            await stop.wait()
            await _drain(app, batcher, config)
        finally:
            await app.server.stop(grace=0)


def _listen(app: App, address: str) -> str:
    host = address.rpartition(":")[0]
    try:
        port = app.server.add_insecure_port(address)
    except RuntimeError as error:
        raise StartError(f"cannot listen on {address}: is the port in use?") from error
    return f"{host}:{port}"


async def _load(app: App, config: ServerConfig) -> MicroBatcher[Query, Ranking]:
    ranker = await asyncio.to_thread(app.store.load)
    batcher = MicroBatcher(ranker.rank, config.batching)
    app.recommendations.serve(batcher)
    return batcher


async def _drain(app: App, batcher: MicroBatcher[Query, Ranking], config: ServerConfig) -> None:
    _log.info("draining", extra={"grace_s": config.grace_s})
    await _set_health(app, _NOT_SERVING)
    await asyncio.sleep(config.drain_delay_s)
    await app.server.stop(config.grace_s)
    await batcher.close()
    _log.info("stopped")


async def _set_health(app: App, status: int) -> None:
    for service in ("", *SERVICES):
        await app.health.set(service, status)


@contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    """Yields an event that the first SIGTERM or SIGINT sets; the second ends the process."""
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for each in signals:
        loop.add_signal_handler(each, on_signal)
    try:
        yield stop
    finally:
        for each in signals:
            loop.remove_signal_handler(each)
