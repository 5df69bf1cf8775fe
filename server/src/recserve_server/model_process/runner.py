"""Runs batches in a model process; the server's end of it."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import Self

from recserve_server.batching.runner import Done
from recserve_server.errors import NotReady, ServingError
from recserve_server.model import Replayed
from recserve_server.model_process.frames import FrameReader, to_frame
from recserve_server.model_process.messages import Answered, Opened, Opening
from recserve_server.models.refusal import Refusal, VersionRefused
from recserve_server.query import Question, Schema
from recserve_server.stats import AnswerStats


class ModelProcess(asyncio.Protocol):
    """A `ModelRunner` in a process of its own."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        """Takes a process that has been started; see `open`."""
        self._process = process
        self._stats = AnswerStats().packed()
        self._opened: asyncio.Future[Opened] = asyncio.get_running_loop().create_future()
        self._reader = FrameReader()
        self._done: Done[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._gone = asyncio.Event()

    @classmethod
    async def open(cls, opening: Opening) -> Self:
        """Starts a process and waits until its model is warm; may take minutes.

        A task that is cancelled meanwhile ends the process.

        Raises:
            VersionRefused: the version cannot be served; the text says why.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            process = _start(theirs.fileno())
        runner = cls(process)
        try:
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_connection(lambda: runner, sock=ours)
            transport.write(to_frame(opening))
            opened = await runner._opened
            if opened.problem:
                raise VersionRefused(opened.refusal, opened.problem)
        except BaseException:
            if runner._transport is None:
                ours.close()
            else:
                # The transport closes the socket: were it closed here, the event loop would keep
                # watching a number that the next socket gets.
                runner._transport.abort()
            runner.kill()
            asyncio.get_running_loop().run_in_executor(None, process.wait)
            raise
        return runner

    @property
    def stats(self) -> AnswerStats:
        """What its calls and answers were like."""
        return AnswerStats.unpacked(self._stats)

    @property
    def schema(self) -> Schema:
        """What questions may name."""
        return self._opened.result().schema

    @property
    def replayed(self) -> Replayed:
        """What it answered to its golden queries."""
        return self._opened.result().replayed

    @property
    def process_id(self) -> int:
        """The process in which the model lives."""
        return self._process.pid

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

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Is ready to run batches; called by asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Takes what the process answers; called by asyncio."""
        for message in self._reader.feed(data):
            if isinstance(message, Opened):
                if not self._opened.done():
                    self._opened.set_result(message)
                continue
            assert isinstance(message, Answered)
            self._stats = message.stats
            problem = RuntimeError(message.problem) if message.problem else None
            self._tell(message.answers, problem)

    def connection_lost(self, exc: Exception | None) -> None:
        """Gives up what is under way; called by asyncio."""
        self._gone.set()
        if not self._opened.done():
            reason = "the model process ended before its model was loaded"
            self._opened.set_result(Opened(reason, refusal=Refusal.FAILED))
        self._tell((), NotReady("the model process ended"))

    def _tell(self, answers: Sequence[bytes | ServingError], problem: Exception | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(answers, problem)


def _start(descriptor: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "recserve_server.model_process", str(descriptor)],
        pass_fds=(descriptor,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONSAFEPATH": "1"},
    )
