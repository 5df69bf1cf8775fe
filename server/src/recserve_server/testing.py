"""A real server without TensorFlow: gRPC on loopback, artifacts on disk, NumPy for the model."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from recserve.artifact.v1 import manifest_pb2
from recserve_server.batching.runner import Done
from recserve_server.batching.thread import BatchThread
from recserve_server.config import ServerConfig
from recserve_server.errors import ModelFailed
from recserve_server.lifecycle import Server
from recserve_server.matrix_model import open_matrix
from recserve_server.model import Replayed
from recserve_server.model_process.loaded_model import LoadedModel, OpenModelFolder
from recserve_server.models.loading import OpenModel
from recserve_server.query import Question, Schema
from recserve_server.stats import AnswerStats


class ModelThread(BatchThread[Question, bytes]):
    """A `ModelRunner` in the server's own process, over any `ServedModel`."""

    def __init__(self, model: LoadedModel, replayed: Replayed) -> None:
        super().__init__(model.answer)
        self.model, self.replayed = model, replayed
        self.process_id = os.getpid()
        self._closed = asyncio.Event()

    @property
    def stats(self) -> AnswerStats:
        """What its calls and answers were like."""
        return self.model.stats

    @property
    def schema(self) -> Schema:
        """What questions may name."""
        return self.model.schema

    def close(self) -> None:
        """Lets the thread end after what it runs."""
        super().close()
        self._closed.set()

    def kill(self) -> None:
        """Does nothing: a thread cannot be ended."""

    async def wait_until_gone(self) -> int:
        """Returns once it was closed."""
        await self._closed.wait()
        return 0


def open_with(open_folder: OpenModelFolder) -> OpenModel:
    """Returns what opens versions in the server's own process."""

    async def open_model(
        config: ServerConfig, folder: Path, manifest: manifest_pb2.Manifest, is_background: bool
    ) -> ModelThread:
        def load() -> tuple[LoadedModel, Replayed]:
            model = LoadedModel(folder, manifest, open_folder, config.batching.batch_sizes)
            model.warm_up(config.limits.max_k)
            return model, model.replay()

        return ModelThread(*await asyncio.to_thread(load))

    return open_model


@dataclass(slots=True)
class ManualRunner:
    """A `BatchRunner` of numbers whose batches end when a test says so; the answer is the double.

    A negative number makes a batch fail; 0 gets a failure of its own instead of an answer.
    """

    batches: list[list[int]] = field(default_factory=list)
    """Every batch so far."""
    is_closed: bool = False
    _done: Done[int] | None = None

    @property
    def is_running(self) -> bool:
        """Whether a batch is under way."""
        return self._done is not None

    def start(self, requests: Sequence[int], done: Done[int]) -> None:
        """Runs a batch; see `BatchRunner`."""
        assert self._done is None, "two batches at a time"
        self.batches.append(list(requests))
        self._done = done

    def finish(self, error: Exception | None = None) -> None:
        """Ends the batch under way, by `error` if there is one."""
        done, self._done = self._done, None
        assert done is not None
        batch = self.batches[-1]
        if error is None and min(batch) < 0:
            error = RuntimeError("told to fail")
        done([] if error else [2 * number if number else ModelFailed() for number in batch], error)

    def close(self) -> None:
        """Notes it."""
        self.is_closed = True


@asynccontextmanager
async def running_server(
    config: ServerConfig, open_folder: OpenModelFolder = open_matrix
) -> AsyncIterator[Server]:
    """Runs a server in the current event loop for as long as the context lasts."""
    server = Server(config, open_with(open_folder))
    await server.start()
    try:
        await server.load()
        yield server
    finally:
        await server.drain()
