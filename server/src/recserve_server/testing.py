"""A real server without TensorFlow: gRPC on loopback, artifacts on disk, NumPy for the model."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
from google.protobuf import json_format
from numpy.typing import NDArray

from recserve.artifact.v1 import manifest_pb2
from recserve_server.batch_runner import Done
from recserve_server.batch_thread import BatchThread
from recserve_server.config import ServerConfig
from recserve_server.errors import ModelFailed
from recserve_server.lifecycle import Server
from recserve_server.loaded_model import LoadedModel, OpenRetriever
from recserve_server.model import Query
from recserve_server.model_store import OpenModel
from recserve_server.stats import PaddingStats

_MATRIX = "saved_model.pb"


@dataclass(frozen=True, slots=True)
class MatrixModel:
    """A model that is nothing but its scores; users are "u0", "u1", ..., items "i0", "i1", ..."""

    scores: NDArray[np.float32]
    """[users, items]."""
    histories: Sequence[Sequence[int]] = ()
    """Item rows that each user has seen; none if empty."""

    def publish(self, models_dir: Path, name: str = "films", version: int = 1) -> Path:
        """Writes an artifact of docs/artifact.md but for the SavedModel; returns its folder.

        Item `i`'s training count is `i`, so the last item is the most popular.
        """
        folder = models_dir / name / str(version)
        folder.mkdir(parents=True)
        user_count, item_count = self.scores.shape
        with (folder / _MATRIX).open("wb") as matrix:
            np.save(matrix, self.scores)
        items = range(item_count)
        _write(
            folder / "items.arrow",
            {
                "item_id": pa.array([f"i{row}" for row in items], pa.string()),
                "title": pa.array([f"Film {row}" for row in items], pa.string()),
                "train_count": pa.array(list(items), pa.int64()),
            },
        )
        histories = [sorted(history) for history in self.histories] or [[]] * user_count
        _write(
            folder / "users.arrow",
            {
                "user_id": pa.array([f"u{row}" for row in range(user_count)], pa.string()),
                "history": pa.array(histories, pa.large_list(pa.int32())),
            },
        )
        write_manifest(folder, user_count=user_count, item_count=item_count)
        return folder


@dataclass(slots=True)
class MatrixRetriever:
    """A `Retriever` over a `MatrixModel`'s scores."""

    scores: NDArray[np.float32]
    batch_sizes: list[int] = field(default_factory=list)
    """Batch size of every call so far."""

    def retrieve(
        self, user_rows: NDArray[np.int32], k: int, excluded: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Ranks the catalogue; see `recserve_server.model.Retriever`."""
        self.batch_sizes.append(len(user_rows))
        scores = self.scores[user_rows]
        scores[excluded[:, 0], excluded[:, 1]] = -np.inf
        rows = np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int32)
        return rows, np.take_along_axis(scores, rows, axis=1)


def open_matrix(folder: Path) -> MatrixRetriever:
    """Opens what `MatrixModel.publish` wrote."""
    return MatrixRetriever(np.load(folder / _MATRIX))


class ModelThread(BatchThread[Query, bytes]):
    """A `ModelRunner` in the server's own process, over any `Retriever`."""

    def __init__(self, model: LoadedModel) -> None:
        super().__init__(model.answer)
        self.model = model

    @property
    def padding(self) -> PaddingStats:
        """How full the model calls were."""
        return self.model.padding

    async def connect(self) -> None:
        """Has nothing to do."""

    def kill(self) -> None:
        """Does nothing: a thread cannot be ended."""

    async def wait_until_gone(self) -> int:
        """Never returns."""
        never: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        return await never


def open_with(open_retriever: OpenRetriever) -> OpenModel:
    """Returns what opens versions in the server's own process."""

    def open_model(
        config: ServerConfig, folder: Path, manifest: manifest_pb2.Manifest
    ) -> ModelThread:
        model = LoadedModel(folder, manifest, open_retriever, config.batching.batch_sizes)
        model.warm_up(config.limits.max_k)
        return ModelThread(model)

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


def write_manifest(folder: Path, *, user_count: int, item_count: int) -> None:
    """Writes the manifest of whatever files are in a version's folder."""
    paths = sorted(path for path in folder.iterdir() if path.name != "manifest.json")
    manifest = manifest_pb2.Manifest(
        format_version=1,
        model_name=folder.parent.name,
        model_version=int(folder.name),
        files=[
            manifest_pb2.File(
                path=path.name,
                size_bytes=path.stat().st_size,
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            )
            for path in paths
        ],
        model=manifest_pb2.Model(
            kind="matrix", embedding_dimension=1, user_count=user_count, item_count=item_count
        ),
        index=manifest_pb2.Index(kind="exact"),
    )
    written = json_format.MessageToDict(manifest, preserving_proto_field_name=True)
    (folder / "manifest.json").write_text(json.dumps(written), encoding="utf-8")


@asynccontextmanager
async def running_server(
    config: ServerConfig, open_retriever: OpenRetriever = open_matrix
) -> AsyncIterator[Server]:
    """Runs a server in the current event loop for as long as the context lasts."""
    server = Server(config, open_with(open_retriever))
    await server.start()
    try:
        await server.load()
        yield server
    finally:
        await server.drain()


def _write(path: Path, columns: dict[str, "pa.Array[pa.Scalar[pa.DataType]]"]) -> None:
    batch = pa.record_batch(list(columns.values()), names=list(columns))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
