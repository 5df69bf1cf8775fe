"""A model that is nothing but its scores, in NumPy: for tests, without TensorFlow."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from google.protobuf import json_format
from numpy.typing import NDArray

from recserve.artifact.v1 import manifest_pb2
from recserve_server.model import Found, Restriction, Strangers

_MATRICES: Final = "saved_model.pb"
_BASIC: Final = frozenset(
    {"recommend", "embed_users", "search", "search_eligible", "score_items"}
    | {"embed_items", "search_similar"}
)


@dataclass(frozen=True, slots=True)
class MatrixModel:
    """What to publish; users are "u0", "u1", ..., items "i0", "i1", ..."""

    scores: NDArray[np.float32]
    """[users, items]."""
    histories: Sequence[Sequence[int]] = ()
    """Item rows that each user has seen; none if empty."""
    item_item: NDArray[np.float32] | None = None
    """[items, items]: what an item in a history, times its rating, adds to the scores of all items;
    None for a model that takes ids only."""
    age_scores: NDArray[np.float32] | None = None
    """[items]: what a standard deviation of age adds; None if the model reads no features."""
    second: NDArray[np.float32] | None = None
    """[users, items]: scores of the second stage; None if there is only one."""
    candidates: int = 0
    """Items that the first stage hands to the second."""
    attributes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Values by name of the attribute, one per item."""
    percentiles: Sequence[tuple[float, float]] = ()
    """Percentages, ascending, and the scores that so much of all scores lies below."""

    def publish(self, models_dir: Path, name: str = "films", version: int = 1) -> Path:
        """Writes an artifact of docs/artifact.md but for the SavedModel; returns its folder.

        Item `i`'s training count is `i`, so the last item is the most popular.
        """
        folder = models_dir / name / str(version)
        folder.mkdir(parents=True)
        self._write_matrices(folder / _MATRICES)
        user_count, item_count = self.scores.shape
        _write(
            folder / "items.arrow",
            {
                "item_id": pa.array([f"i{row}" for row in range(item_count)], pa.string()),
                "title": pa.array([f"Film {row}" for row in range(item_count)], pa.string()),
                "train_count": pa.array(list(range(item_count)), pa.int64()),
                **{name: pa.array(list(values)) for name, values in self.attributes.items()},
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
        model = manifest_pb2.Model(
            kind="matrix",
            embedding_dimension=item_count,
            user_count=user_count,
            item_count=item_count,
            ranking_candidates=self.candidates,
        )
        for percent, score in self.percentiles:
            model.score_percentiles.add(percent=percent, score=score)
        if self.age_scores is not None:
            model.query_features.add(name="age", kind="number", mean=30, deviation=10)
        write_manifest(folder, model)
        return folder

    def _write_matrices(self, path: Path) -> None:
        matrices = {
            "scores": self.scores,
            "item_item": self.item_item,
            "age_scores": self.age_scores,
            "second": self.second,
        }
        with path.open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                **{name: each for name, each in matrices.items() if each is not None},
            )


@dataclass(slots=True)
class MatrixRetriever:
    """A `ServedModel` over a `MatrixModel`: queries are scores, item vectors the unit matrix."""

    scores: NDArray[np.float32]
    item_item: NDArray[np.float32] | None = None
    age_scores: NDArray[np.float32] | None = None
    second: NDArray[np.float32] | None = None
    candidates: int = 0
    batch_sizes: list[int] = field(default_factory=list)
    """Batch size of every call of `retrieve` so far."""

    @property
    def abilities(self) -> frozenset[str]:
        """Names of the signatures that the model has."""
        tower = {"embed_queries", "explain"} if self.item_item is not None else set()
        return _BASIC | tower | ({"rank"} if self.second is not None else set())

    def retrieve(self, user_rows: NDArray[np.int32], k: int, excluded: NDArray[np.int32]) -> Found:
        """Ranks the catalogue; this and all others as `recserve_server.model.ServedModel`."""
        self.batch_sizes.append(len(user_rows))
        item_count = self.scores.shape[1]
        everything = Restriction(
            excluded, np.zeros(len(user_rows), np.int32), np.empty((0, item_count), np.bool_)
        )
        depth = k if self.second is None else min(item_count, max(k, self.candidates))
        found = self.search(self.embed_users(user_rows), depth, everything)
        if self.second is None:
            return found
        second = np.take_along_axis(self.second[user_rows], found.item_rows, axis=1)
        second = np.where(found.scores > -np.inf, second, -np.inf)
        order = np.stack([np.lexsort(pair) for pair in zip(found.item_rows, -second, strict=True)])[
            :, :k
        ]
        return Found(
            np.take_along_axis(found.item_rows, order, axis=1),
            np.take_along_axis(second, order, axis=1),
            np.take_along_axis(found.scores, order, axis=1),
        )

    def embed_users(self, user_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Returns the users' scores."""
        return self.scores[user_rows]

    def embed_queries(self, strangers: Strangers) -> NDArray[np.float32]:
        """Adds up what the entries of histories and the age add."""
        return self._rest(strangers) + self._sums(strangers, self._added(strangers))

    def search(self, queries: NDArray[np.float32], k: int, restriction: Restriction) -> Found:
        """Sorts the scores."""
        scores = queries.copy()
        if len(restriction.masks):
            scores[~restriction.masks[restriction.mask_of]] = -np.inf
        scores[restriction.excluded[:, 0], restriction.excluded[:, 1]] = -np.inf
        rows = np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int32)
        return Found(rows, np.take_along_axis(scores, rows, axis=1))

    def score_items(
        self, queries: NDArray[np.float32], item_rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Picks the scores."""
        return np.take_along_axis(queries, item_rows, axis=1)

    def rank(
        self, user_rows: NDArray[np.int32], item_rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Picks the second stage's scores."""
        assert self.second is not None  # or it is not to be called
        return np.take_along_axis(self.second[user_rows], item_rows, axis=1)

    def embed_items(self, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Returns the users' centred scores of an item, of length 1."""
        return self._similarity()[item_rows]

    def search_similar(
        self, queries: NDArray[np.float32], k: int, restriction: Restriction
    ) -> Found:
        """Sorts by inner product."""
        return self.search(queries @ self._similarity().T, k, restriction)

    def explain(
        self, strangers: Strangers, item_rows: NDArray[np.int32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Returns what the entries add, and the age."""
        added = self._added(strangers)
        of_entry = np.take_along_axis(added, item_rows[strangers.history[:, 0]], axis=1)
        return of_entry, np.take_along_axis(self._rest(strangers), item_rows, axis=1)

    def _added(self, strangers: Strangers) -> NDArray[np.float32]:
        assert self.item_item is not None  # or it is not to be called
        weights = np.where(np.isnan(strangers.ratings), 1, strangers.ratings)
        added: NDArray[np.float32] = self.item_item[strangers.history[:, 1]] * weights[:, None]
        return added.astype(np.float32)

    def _sums(self, strangers: Strangers, added: NDArray[np.float32]) -> NDArray[np.float32]:
        sums = np.zeros((len(strangers.features), self.scores.shape[1]), np.float32)
        np.add.at(sums, strangers.history[:, 0], added)
        return sums

    def _rest(self, strangers: Strangers) -> NDArray[np.float32]:
        if self.age_scores is None:
            return np.zeros((len(strangers.features), self.scores.shape[1]), np.float32)
        return strangers.features[:, :1] * self.age_scores

    def _similarity(self) -> NDArray[np.float32]:
        centred = (self.scores - self.scores.mean(axis=0)).T
        lengths = np.linalg.norm(centred, axis=1, keepdims=True)
        vectors: NDArray[np.float32] = np.divide(
            centred, lengths, out=np.zeros_like(centred), where=lengths > 1e-6
        )
        return vectors


def open_matrix(folder: Path) -> MatrixRetriever:
    """Opens what `MatrixModel.publish` wrote."""
    text = (folder / "manifest.json").read_text(encoding="utf-8")
    manifest = json_format.Parse(text, manifest_pb2.Manifest())
    with np.load(folder / _MATRICES) as matrices:
        return MatrixRetriever(**matrices, candidates=manifest.model.ranking_candidates)


def write_manifest(folder: Path, model: manifest_pb2.Model) -> None:
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
        model=model,
        index=manifest_pb2.Index(kind="exact"),
    )
    written = json_format.MessageToDict(manifest, preserving_proto_field_name=True)
    (folder / "manifest.json").write_text(json.dumps(written), encoding="utf-8")


def _write(path: Path, columns: "Mapping[str, pa.Array[pa.Scalar[pa.DataType]]]") -> None:
    batch = pa.record_batch(list(columns.values()), names=list(columns))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
