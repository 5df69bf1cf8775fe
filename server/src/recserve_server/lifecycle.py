"""From listening to gone: load, serve until a signal, drain."""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from grpc_health.v1 import health_pb2

from recserve_server.app import SERVICES, build_app, open_saved_model
from recserve_server.artifact import VersionPath
from recserve_server.batching import MicroBatcher
from recserve_server.config import ServerConfig
from recserve_server.model import Query, Ranking
from recserve_server.model_store import OpenRetriever

_log = logging.getLogger(__name__)


class StartError(Exception):
    """The server cannot listen; the text says why in one line."""


class Server:
    """One server process's life: `start`, `load`, and in the end `drain`."""

    def __init__(
        self, config: ServerConfig, open_retriever: OpenRetriever = open_saved_model
    ) -> None:
        self._config = config
        self._app = build_app(config, open_retriever)
        self._batcher: MicroBatcher[Query, Ranking] | None = None
        self.address = config.address
        """HOST:PORT; once started, with the port that was picked."""

    @property
    def location(self) -> VersionPath:
        """The version that serves; raises NotReady before one does."""
        return self._app.store.serving().location

    async def start(self) -> None:
        """Listens, with health NOT_SERVING and every call refused as NOT_READY.

        Raises:
            StartError: the address cannot be listened on.
        """
        try:
            port = self._app.server.add_insecure_port(self._config.address)
        except RuntimeError as error:
            reason = f"cannot listen on {self._config.address}: is the port in use?"
            raise StartError(reason) from error
        self.address = f"{self._config.address.rpartition(':')[0]}:{port}"
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        await self._app.server.start()

    async def load(self) -> None:
        """Loads and warms up a model on another thread, then answers with health SERVING.

        Raises:
            NoModelError: no version can be served.
        """
        ranker = await asyncio.to_thread(self._app.store.load)
        self._batcher = MicroBatcher(ranker.rank, self._config.batching)
        self._app.recommendations.serve(self._batcher)
        # The model and TensorFlow stay for good: no later collection need walk through them.
        gc.collect()
        gc.freeze()
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)

    async def drain(self) -> None:
        """Turns health to NOT_SERVING, waits the drain delay, then finishes what is in flight."""
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        await asyncio.sleep(self._config.drain_delay_s)
        await self._app.server.stop(self._config.grace_s)
        if self._batcher is not None:
            await self._batcher.close()

    async def _set_health(self, status: int) -> None:
        for service in ("", *SERVICES):
            await self._app.health.set(service, status)


async def run_server(config: ServerConfig) -> None:
    """Serves until SIGTERM or SIGINT.

    Listens before the model is loaded, so that a port in use is known at once and health checks
    find NOT_SERVING. Prints `serving NAME version V on HOST:PORT` when ready.

    Raises:
        StartError: the address cannot be listened on.
        NoModelError: no version can be served.
    """
    server = Server(config)
    await server.start()
    with _stop_signals() as stop:
        try:
            _log.info("listening, loading the model", extra={"address": server.address})
            await server.load()
            if not stop.is_set():
                name, version = server.location.name, server.location.version
                print(f"serving {name} version {version} on {server.address}", flush=True)
            await stop.wait()
            _log.info("draining", extra={"grace_s": config.grace_s})
        finally:
            await server.drain()
    _log.info("stopped")


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
