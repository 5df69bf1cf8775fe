"""From listening to gone: load, serve and follow the model directory until a signal, drain."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from recserve_server.addresses import settled, why_not
from recserve_server.admin import AdminListener, Probes
from recserve_server.app import App, build_app, open_in_process
from recserve_server.config import ServerConfig
from recserve_server.control.commands import Commands
from recserve_server.control.socket import ControlSocket
from recserve_server.metrics import build_registry
from recserve_server.models.artifact import VersionPath
from recserve_server.models.loading import OpenModel
from recserve_server.models.store import ModelStore, NoModelError
from recserve_server.observing.heartbeat import Heartbeat
from recserve_server.reading import read
from recserve_server.security.listening import add_port
from recserve_server.signals import signals

_log = logging.getLogger(__name__)


class StartError(Exception):
    """The server cannot start; the text says why in one line."""


class Server:
    """One server process's life: `start`, `load`, and in the end `drain`."""

    def __init__(self, config: ServerConfig, open_model: OpenModel = open_in_process) -> None:
        """Wires a server.

        Raises:
            StartError: the settings name something that cannot be used.
        """
        self._config = config
        try:
            self._app = build_app(config, open_model)
        except ValueError as error:
            raise StartError(str(error)) from error
        self._admin: AdminListener | None = None
        self._control: ControlSocket | None = None
        self._heartbeat = Heartbeat()
        self._tasks: list[asyncio.Task[None]] = []
        self._following: asyncio.Task[None] | None = None
        self._look = asyncio.Event()
        self._look_again = False
        self.address = config.address
        """HOST:PORT; once started, with the port that was picked."""
        self.admin_address = config.admin_address
        """The same of the metrics' listener; empty if there is none."""

    @property
    def app(self) -> App:
        """Its parts."""
        return self._app

    @property
    def store(self) -> ModelStore:
        """Its models."""
        return self._app.store

    @property
    def location(self) -> VersionPath:
        """The version that answers by default; raises NotReady before one does."""
        return self.store.lineup().route(0, "stable", "").version.location

    async def start(self) -> None:
        """Listens, with health NOT_SERVING and every call refused as NOT_READY.

        Raises:
            StartError: an address cannot be listened on, or events cannot be kept.
        """
        try:
            await self._open_events()
            self._start_admin()
            await self._start_control()
            self._listen()
        except BaseException:
            await self._close_doors()
            raise
        self._app.health.tell()
        await self._app.server.start()
        self._spawn(self._heartbeat.run())
        self._spawn(self._app.health.follow())

    async def load(self) -> None:
        """Loads and warms up what is to be served, then answers with health SERVING.

        Raises:
            NoModelError: of some model no version can be served.
        """
        await self.store.load()
        self._app.health.tell()
        self.store.on_change(self._look_if_lost)
        self._following = self._spawn(self._follow_directory())

    def look(self, *, again: bool = False) -> None:
        """Has the model directory looked at soon; `again` for refused versions, too."""
        self._look_again |= again
        self._look.set()

    async def wait_to_look(self) -> None:
        """Waits until the model directory is to be looked at again."""
        try:
            async with asyncio.timeout(self._config.versions.poll_interval_s or None):
                await self._look.wait()
        except TimeoutError:
            return
        self._look.clear()

    async def drain(self) -> None:
        """Turns health to NOT_SERVING, waits the drain delay, then finishes what is in flight."""
        was_serving = self._app.health.is_serving
        self._app.health.drain()
        if self._following is not None:
            # What is being loaded would come too late.
            self._following.cancel()
            await asyncio.wait((self._following,))
        await self._close_control()
        if was_serving:  # else nobody has to be given time to send calls elsewhere
            await asyncio.sleep(self._config.drain_delay_s)
        self._app.health.close()
        await self._app.server.stop(self._config.grace_s)
        await self.store.end()
        for task in self._tasks:
            task.cancel()
        # Last: until here there is something to see.
        await self._close_doors()

    async def wait_until_failed(self) -> None:
        """Returns only by raising.

        Raises:
            NoModelError: a version that served was lost, and no other can take its place.
        """
        # Not gather: cancelled, it would take the tasks along, which a drain still needs.
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(coroutine)
        self._tasks.append(task)
        return task

    def _listen(self) -> None:
        address = self._config.address
        try:
            port = add_port(self._app.server, settled(address), self._app.security.tls)
        except (OSError, RuntimeError) as error:
            raise StartError(f"cannot listen on {address}: {why_not(error)}") from error
        self.address = f"{address.rpartition(':')[0]}:{port}"

    async def _open_events(self) -> None:
        if self._app.events is not None:
            try:
                await self._app.events.open()
            except ValueError as error:
                raise StartError(str(error)) from error

    def _start_admin(self) -> None:
        address = self._config.admin_address
        if not address:
            return
        registry = build_registry(lambda: read(self._app, self._heartbeat))
        probes = Probes(
            is_live=lambda: self._heartbeat.age_s < self._config.batching.watchdog_s,
            is_ready=lambda: self._app.health.is_serving,
        )
        try:
            self._admin = AdminListener(address, registry, probes)
        except OSError as error:
            reason = (
                f"cannot listen on {address} for metrics: is the port in use? "
                "--admin-address chooses another, '' none"
            )
            raise StartError(reason) from error
        self.admin_address = self._admin.address

    async def _start_control(self) -> None:
        path = self._config.admin_socket
        if path is None:
            return
        control = ControlSocket(path, Commands(self.store).run)
        try:
            await control.open()
        except OSError as error:
            reason = f"cannot listen on {path} for recserve-serve admin: {error.strerror or error}"
            raise StartError(reason) from error
        self._control = control

    async def _close_control(self) -> None:
        if self._control is not None:
            await self._control.close()
            self._control = None

    async def _close_doors(self) -> None:
        await self._close_control()
        if self._app.events is not None:
            await self._app.events.close()
        if self._admin is not None:
            await asyncio.to_thread(self._admin.close)
            self._admin = None
        for observer in self._app.observers:
            await asyncio.to_thread(observer.close)

    async def _follow_directory(self) -> None:
        """Looks for new versions every now and then, and when it is told to.

        Raises:
            NoModelError: no model has a version that can be served any more.
        """
        while True:
            await self.wait_to_look()
            again, self._look_again = self._look_again, False
            await self._refresh(again=again)

    async def _refresh(self, *, again: bool) -> None:
        try:
            await (self.store.reload() if again else self.store.refresh())
        except (NoModelError, ValueError) as error:
            # What serves goes on: the directory may be back at the next look.
            _log.error("the model directory was not looked at", extra={"reason": str(error)})
        if all(lineup.stable is None for lineup in self.store.lineups):
            self.store.require_stable()
        for lineup in self.store.lineups:
            if lineup.stable is None:
                # The others answer; health says NOT_SERVING, and each look tries again.
                _log.error("a model does not answer", extra={"model": lineup.name})

    def _look_if_lost(self) -> None:
        if any(lineup.stable is None for lineup in self.store.lineups):
            self.look()


async def run_server(config: ServerConfig) -> None:
    """Serves until SIGTERM or SIGINT.

    Listens before the model is loaded, so that a port in use is known at once and health checks
    find NOT_SERVING. Prints `serving NAME version V on HOST:PORT` when ready, for each model.

    Raises:
        StartError: an address cannot be listened on.
        NoModelError: no version can be served.
    """
    server = Server(config)
    await server.start()
    with signals(lambda: server.look(again=True)) as stop:
        try:
            addresses = {"address": server.address, "admin_address": server.admin_address}
            _log.info("listening, loading the model", extra=addresses)
            await _first(stop.wait(), _serve(server, config))
            _log.info("draining", extra={"grace_s": config.grace_s})
        finally:
            await server.drain()
    _log.info("stopped")


async def _serve(server: Server, config: ServerConfig) -> None:
    """Loads, says so, and goes on until it fails."""
    while True:
        try:
            await server.load()
            break
        except NoModelError as error:
            if not config.versions.wait_for_model:
                raise
            _log.error("waiting for a model", extra={"reason": str(error)})
            await server.wait_to_look()
    for lineup in server.store.lineups:
        if lineup.stable is not None:
            number = lineup.stable.version.number
            print(f"serving {lineup.name} version {number} on {server.address}", flush=True)
    await server.wait_until_failed()


async def _first(*awaited: Coroutine[Any, Any, object]) -> None:
    """Waits for one of several, and raises what that one raises."""
    tasks = [asyncio.ensure_future(each) for each in awaited]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.wait(tasks)
    for task in done:
        task.result()
