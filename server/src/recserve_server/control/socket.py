"""The Unix socket on which a running server takes commands from its own user."""

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from recserve_server.control.protocol import MOST_BYTES, from_line, to_line

_log = logging.getLogger(__name__)
_CREDENTIALS: Final = struct.Struct("iII")
"""Process, user and group (unix(7), SO_PEERCRED)."""
_TIME_TO_ASK_S: Final = 10.0

Run = Callable[[dict[str, Any]], Awaitable[dict[str, object]]]
"""Runs a command; raises ValueError with the reason if it cannot."""


class ControlSocket:
    """Listens until it is closed; the file is there for as long."""

    def __init__(self, path: Path, run: Run) -> None:
        """Takes where to listen, and what runs commands."""
        self._path, self._run = path, run
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listens; what a server that has crashed left there is replaced.

        Raises:
            OSError: it cannot, or another server listens there.
        """
        await asyncio.to_thread(self._remove_leftover)
        # Nobody else may connect, not even between bind and chmod.
        mask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(
                self._begin, str(self._path), limit=MOST_BYTES
            )
        finally:
            os.umask(mask)

    async def close(self) -> None:
        """Stops to listen, gives up commands under way, and removes the file."""
        if self._server is None:
            return
        self._server.close()
        self._path.unlink(missing_ok=True)
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def _remove_leftover(self) -> None:
        if not self._path.is_socket():
            if self._path.exists():
                raise FileExistsError(None, "there is a file that is no socket")
            return
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self._path))
            except ConnectionRefusedError:
                self._path.unlink(missing_ok=True)
                return
        raise FileExistsError(None, "another server listens there")

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of ours, to be cancelled in the end: asyncio would log it as a failure.
        talk = asyncio.ensure_future(self._talk(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            _check_peer(writer)
            async with asyncio.timeout(_TIME_TO_ASK_S):
                line = await reader.readline()
            if not line.endswith(b"\n"):
                raise ValueError("the command has no end")
            answer = await self._answer(line)
            writer.write(to_line(answer))
            await writer.drain()
        except (OSError, TimeoutError, ValueError) as error:
            _log.warning("a command was not taken", extra={"reason": str(error) or "no command"})
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, object]:
        try:
            command = from_line(line)
            _log.info("running a command", extra={"command": str(command.get("command"))})
            return {"result": await self._run(command)}
        except ValueError as error:
            return {"error": str(error)}
        except Exception:
            _log.exception("a command failed")
            return {"error": "internal error; the server's log has more"}


def _check_peer(writer: asyncio.StreamWriter) -> None:
    """Lets the server's own user and root in: file modes are not looked at by every system."""
    connection = writer.get_extra_info("socket")
    if not hasattr(socket, "SO_PEERCRED"):
        return
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(credentials)
    if user not in (0, os.getuid()):
        raise PermissionError(None, f"user {user} may not command this server")
