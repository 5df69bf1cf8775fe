"""Runs batches in a model process; the server's end of `model_process`."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Sequence

from recserve_server.batching.runner import Done
from recserve_server.errors import NotReady, ServingError
from recserve_server.model_process.frames import FrameReader, to_frame
from recserve_server.model_process.messages import Answered, Opened, Opening
from recserve_server.query import Question, Schema
from recserve_server.stats import PaddingStats


class ModelProcess(asyncio.Protocol):
    """A `ModelRunner` in a process of its own."""

    def __init__(self, opening: Opening) -> None:
        """Starts the process and waits until its model is warm; may take minutes.

        Raises:
            ValueError: the version cannot be served; the text says why.
        """
        self._padding = PaddingStats()
        self._schema = Schema()
        self._reader = FrameReader()
        self._done: Done[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._gone = asyncio.Event()
        self._socket, theirs = socket.socketpair()
        with theirs:
            descriptor = theirs.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "recserve_server.model_process", str(descriptor)],
                pass_fds=(descriptor,),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        try:
            self._wait_until_opened(opening)
        except BaseException:
            self._socket.close()
            self._process.kill()
            self._process.wait()
            raise

    @property
    def padding(self) -> PaddingStats:
        """How full the model calls were."""
        return self._padding

    @property
    def schema(self) -> Schema:
        """What questions may name."""
        return self._schema

    async def connect(self) -> None:
        """Lets the current event loop, and only that, run batches from now on."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_connection(lambda: self, sock=self._socket)

    def start(self, requests: Sequence[Question], done: Done[bytes]) -> None:
        """Runs a batch; see `BatchRunner`."""
        if self._transport is None or self._gone.is_set():
            asyncio.get_running_loop().call_soon(done, (), NotReady("the model is being loaded"))
            return
        self._done = done
        self._transport.write(to_frame(requests))

    def close(self) -> None:
        """Lets the process end after what it runs."""
        if self._transport is not None:
            self._transport.close()

    def kill(self) -> None:
        """Ends the process at once."""
        self._process.kill()

    async def wait_until_gone(self) -> int:
        """Returns the exit code once the process has ended; negative if a signal did it."""
        await self._gone.wait()
        return await asyncio.to_thread(self._process.wait)

    def data_received(self, data: bytes) -> None:
        """Takes what the process answers; called by asyncio."""
        for message in self._reader.feed(data):
            assert isinstance(message, Answered)
            self._padding = message.padding
            problem = RuntimeError(message.problem) if message.problem else None
            self._tell(message.answers, problem)

    def connection_lost(self, exc: Exception | None) -> None:
        """Gives up what is under way; called by asyncio."""
        self._gone.set()
        self._tell((), NotReady("the model process ended"))

    def _tell(self, answers: Sequence[bytes | ServingError], problem: Exception | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(answers, problem)

    def _wait_until_opened(self, opening: Opening) -> None:
        self._socket.sendall(to_frame(opening))
        while received := self._socket.recv(65_536):
            for message in self._reader.feed(received):
                assert isinstance(message, Opened)
                if message.problem:
                    raise ValueError(message.problem)
                self._schema = message.schema
                return
        raise ValueError(f"the model process ended with {self._process.wait()}")
