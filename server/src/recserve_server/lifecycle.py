"""From listening to gone: load, serve until a signal, drain."""

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from grpc_health.v1 import health_pb2

from recserve_server.admin import AdminListener
from recserve_server.app import SERVICES, build_app, open_in_process
from recserve_server.batching.batcher import MicroBatcher
from recserve_server.config import ServerConfig
from recserve_server.errors import NotReady
from recserve_server.metrics import Readings, build_registry
from recserve_server.model import ModelRunner
from recserve_server.models.artifact import VersionPath
from recserve_server.models.store import OpenModel
from recserve_server.query import Question
from recserve_server.stats import BatchStats, PaddingStats

_log = logging.getLogger(__name__)
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class StartError(Exception):
    """The server cannot start; the text says why in one line."""


class Server:
    """One server process's life: `start`, `load`, and in the end `drain`."""

    def __init__(self, config: ServerConfig, open_model: OpenModel = open_in_process) -> None:
        self._config = config
        try:
            self._app = build_app(config, open_model)
        except ValueError as error:
            raise StartError(str(error)) from error
        self._batcher: MicroBatcher[Question, bytes] | None = None
        self._admin: AdminListener | None = None
        self._is_serving = False
        self._tasks: list[asyncio.Task[None]] = []
        self._draining = False
        self.address = config.address
        """HOST:PORT; once started, with the port that was picked."""
        self.admin_address = config.admin_address
        """The same of the metrics' listener; empty if there is none."""

    @property
    def location(self) -> VersionPath:
        """The version that serves; raises NotReady before one does."""
        return self._app.store.serving().location

    async def start(self) -> None:
        """Listens, with health NOT_SERVING and every call refused as NOT_READY.

        Raises:
            StartError: an address cannot be listened on, or events cannot be kept.
        """
        await self._open_events()
        self._start_admin()
        try:
            port = self._app.server.add_insecure_port(self._config.address)
        except RuntimeError as error:
            await self._stop_admin()
            await self._close_events()
            reason = f"cannot listen on {self._config.address}: is the port in use?"
            raise StartError(reason) from error
        self.address = f"{self._config.address.rpartition(':')[0]}:{port}"
        await self._set_health(_NOT_SERVING)
        await self._app.server.start()

    async def load(self) -> None:
        """Loads and warms up a model, then answers with health SERVING.

        Raises:
            NoModelError: no version can be served.
        """
        runner = await self._open()
        self._batcher = MicroBatcher(runner, self._config.batching)
        self._app.recommendations.serve(self._batcher)
        self._tasks = [
            asyncio.create_task(self._look_for_hanging(self._batcher)),
            asyncio.create_task(self._replace_when_gone(self._batcher, runner)),
        ]
        await self._set_health(_SERVING)

    async def drain(self) -> None:
        """Turns health to NOT_SERVING, waits the drain delay, then finishes what is in flight."""
        self._draining = True
        await self._set_health(_NOT_SERVING)
        await asyncio.sleep(self._config.drain_delay_s)
        await self._app.server.stop(self._config.grace_s)
        if self._batcher is not None:
            await self._batcher.close()
            if self._batcher.hanging:
                self._runner.kill()  # it would not see that its server has gone
        for task in self._tasks:
            task.cancel()
        await self._close_events()
        # Last: until here there is something to see.
        await self._stop_admin()

    async def wait_until_failed(self) -> None:
        """Returns only by raising.

        Raises:
            NoModelError: the model process ended and no version could be loaded again.
        """
        # Not gather: cancelled, it would take the tasks along, which a drain still needs.
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    async def _open_events(self) -> None:
        if self._app.events is not None:
            try:
                await self._app.events.open()
            except ValueError as error:
                raise StartError(str(error)) from error

    async def _close_events(self) -> None:
        if self._app.events is not None:
            await self._app.events.close()

    def _start_admin(self) -> None:
        address = self._config.admin_address
        if not address:
            return
        try:
            self._admin = AdminListener(address, build_registry(self._read))
        except OSError as error:
            reason = (
                f"cannot listen on {address} for metrics: is the port in use? "
                "--admin-address chooses another, '' none"
            )
            raise StartError(reason) from error
        self.admin_address = self._admin.address

    async def _stop_admin(self) -> None:
        if self._admin is not None:
            await asyncio.to_thread(self._admin.close)
            self._admin = None

    def _read(self) -> Readings:
        """Returns what metrics are made from; called by the thread of a scrape."""
        batcher = self._batcher
        try:
            model = self._app.store.serving()
        except NotReady:
            model = None
        return Readings(
            calls=self._app.calls,
            batches=batcher.stats if batcher else BatchStats(),
            padding=self._runner.padding if batcher else PaddingStats(),
            queue_depth=batcher.queue_depth if batcher else 0,
            is_serving=self._is_serving,
            model=model,
            events=self._app.events,
        )

    async def _open(self) -> ModelRunner:
        self._runner = await asyncio.to_thread(self._app.store.load)
        await self._runner.connect()
        return self._runner

    async def _look_for_hanging(self, batcher: MicroBatcher[Question, bytes]) -> None:
        told = False
        while True:
            await asyncio.sleep(min(1.0, self._config.batching.watchdog_s / 4))
            batcher.check_hanging()
            if batcher.hanging != told and not self._draining:
                told = batcher.hanging
                await self._set_health(_NOT_SERVING if told else _SERVING)
                if told:
                    self._runner.kill()

    async def _replace_when_gone(
        self, batcher: MicroBatcher[Question, bytes], runner: ModelRunner
    ) -> None:
        while True:
            exit_code = await runner.wait_until_gone()
            if self._draining:
                return
            _log.error("the model process ended, starting another", extra={"code": exit_code})
            await self._set_health(_NOT_SERVING)
            runner = await self._open()
            batcher.replace(runner)
            if not self._draining:
                await self._set_health(_SERVING)

    async def _set_health(self, status: int) -> None:
        self._is_serving = status == _SERVING
        for service in ("", *SERVICES):
            await self._app.health.set(service, status)


async def run_server(config: ServerConfig) -> None:
    """Serves until SIGTERM or SIGINT.

    Listens before the model is loaded, so that a port in use is known at once and health checks
    find NOT_SERVING. Prints `serving NAME version V on HOST:PORT` when ready.

    Raises:
        StartError: an address cannot be listened on.
        NoModelError: no version can be served.
    """
    server = Server(config)
    await server.start()
    with _stop_signals() as stop:
        try:
            addresses = {"address": server.address, "admin_address": server.admin_address}
            _log.info("listening, loading the model", extra=addresses)
            await server.load()
            if not stop.is_set():
                name, version = server.location.name, server.location.version
                print(f"serving {name} version {version} on {server.address}", flush=True)
            await _first(stop.wait(), server.wait_until_failed())
            _log.info("draining", extra={"grace_s": config.grace_s})
        finally:
            await server.drain()
    _log.info("stopped")


async def _first(*awaited: Coroutine[Any, Any, object]) -> None:
    """Waits for one of several, and raises what that one raises."""
    tasks = [asyncio.ensure_future(each) for each in awaited]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in done:
        task.result()


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
