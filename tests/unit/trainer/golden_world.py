"""Artifacts out of plain arrays, untrained, and how a server answers their golden queries."""

import math
from pathlib import Path

import numpy as np
from google.protobuf import json_format

from recserve.artifact.v1 import manifest_pb2
from recserve.v1 import recommendation_service_pb2 as pb
from recserve_trainer.artifact.export import Artifact
from recserve_trainer.config import IndexConfig
from recserve_trainer.datasets.clustered import clustered_vectors
from recserve_trainer.features import Feature
from recserve_trainer.indexes.scann_proposals import ScannConfig
from recserve_trainer.interactions import Histories
from recserve_trainer.learning.pooled_query import PooledQueryTower
from recserve_trainer.retrieval import Embeddings, RetrievalModel, Stages
from recserve_trainer.tables import ItemTable, UserTable

LENGTH = 16
HASTY = ScannConfig(leaves=50, leaves_to_search=2, candidates=20, candidates_per_k=2, exact_share=8)
"""Finds about two thirds of the best among 3000 clustered items."""


def array_artifact(
    users: int,
    items: int,
    seen: list[list[int]] | None = None,
    scann: ScannConfig | None = None,
) -> Artifact:
    """A model of clustered vectors with a query tower that knows a user's age.

    `seen` are item rows by user row, each user's own row if not given.
    """
    vectors = clustered_vectors(items, LENGTH, seed=1, clusters=50)
    user_vectors = clustered_vectors(users, LENGTH, seed=1, part=1, clusters=50)
    vectors[:, -1] *= 0.1  # meets the 1 of the tower's queries
    weights = np.full((2, LENGTH - 1), 0.1, np.float32), np.zeros(LENGTH - 1, np.float32)
    age = Feature("age", "number", mean=40.0, deviation=10.0)
    tower = PooledQueryTower((age,), vectors[:, :-1], weights, prior=1.0)
    seen = [[row] for row in range(users)] if seen is None else seen
    item_rows = np.concatenate([np.array(each, np.int32) for each in seen])
    offsets = np.cumsum([0, *map(len, seen)])
    described = manifest_pb2.Model(embedding_dimension=LENGTH, user_count=users, item_count=items)
    described.query_features.add(name="age", kind="number", mean=40.0, deviation=10.0)
    return Artifact(
        model=RetrievalModel(Embeddings(user_vectors, vectors), Stages(query_tower=tower)),
        users=UserTable([f"u{row}" for row in range(users)]),
        histories=Histories(offsets, item_rows, 1 + (item_rows % 5).astype(np.float32)),
        items=ItemTable([f"i{row}" for row in range(items)], [""] * items),
        train_counts=np.ones(items, np.int64),
        manifest=manifest_pb2.Manifest(model_name="films", model=described),
        index=IndexConfig(kind="scann" if scann else "exact", min_recall=0),
        scann=scann,
    )


def read_golden(folder: Path) -> manifest_pb2.GoldenQueries:
    text = (folder / "golden.json").read_text(encoding="utf-8")
    return json_format.Parse(text, manifest_pb2.GoldenQueries())


def answers_of_a_server(
    folder: Path, golden: manifest_pb2.GoldenQueries
) -> list[pb.RecommendResponse]:
    """Asks the queries in one batch, as the server's model process does; checksums included."""
    from recserve_server.model_process.loaded_model import LoadedModel
    from recserve_server.model_process.saved_model import SavedModel
    from recserve_server.models.artifact import VersionPath, read_manifest, verify_files
    from recserve_server.query import HistoryEntry, Options, Query

    manifest = read_manifest(VersionPath(folder.parent.name, int(folder.name), folder))
    verify_files(folder, manifest)
    model = LoadedModel(folder, manifest, SavedModel, [1, 4])

    def options(query: manifest_pb2.GoldenQuery) -> Options | None:
        entries = [
            HistoryEntry(each.item_id, each.rating if each.HasField("rating") else math.nan)
            for each in query.history
        ]
        return Options(history=tuple(entries)) if entries else None

    questions = [
        Query(query.user_id, query.k, query.include_seen, options(query))
        for query in golden.queries
    ]
    answers = model.answer(questions)
    assert all(isinstance(each, bytes) for each in answers)
    return [pb.RecommendResponse.FromString(each) for each in answers]


def overlaps(
    golden: manifest_pb2.GoldenQueries, answers: list[pb.RecommendResponse]
) -> list[float]:
    """Of each query the share of the expected items that was answered."""
    return [
        len(set(query.item_ids) & {item.item_id for item in answer.items}) / len(query.item_ids)
        for query, answer in zip(golden.queries, answers, strict=True)
    ]
