"""Query tower and ranker inside the SavedModel, and the gate that they have to pass."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from recserve_trainer.artifact.parity import check_parity
from recserve_trainer.artifact.stage_parity import check_stages
from recserve_trainer.errors import ExportError
from recserve_trainer.evaluation.metrics import top_k
from recserve_trainer.evaluation.two_stage import model_scorer
from recserve_trainer.features import Feature
from recserve_trainer.indexes.exact import ExactIndex
from recserve_trainer.indexes.scann import ScannIndex
from recserve_trainer.interactions import Histories
from recserve_trainer.retrieval import Embeddings, Queries, RetrievalModel, Stages

pytestmark = pytest.mark.tensorflow

USERS, ITEMS, LENGTH, CANDIDATES = 12, 40, 4, 10


def draw(rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, LENGTH)).astype(np.float32)


EMBEDDINGS = Embeddings(draw(USERS, 1), draw(ITEMS, 2))
# User 0 has seen nothing, user 1 all but three items, the others a few.
SEEN = [[], list(range(3, ITEMS)), *([user, user + 7] for user in range(2, USERS))]
HISTORIES = Histories(
    np.cumsum([0, *map(len, SEEN)]), np.concatenate([np.array(row, np.int32) for row in SEEN])
)
EVERYBODY = np.arange(USERS, dtype=np.int32)


class SumTower(tf.Module):
    """A query is the sum of the vectors of its history, times its rating or 1, plus its features.

    `graph_factor` other than 1 makes the graph differ from the oracle, `told_factor` the
    explanation from the graph.
    """

    def __init__(
        self, items: NDArray[np.float32], graph_factor: float = 1.0, told_factor: float = 1.0
    ) -> None:
        super().__init__()
        self._told_factor = told_factor
        self.features = (Feature("job", "category", tuple("abcd"[: items.shape[1]])),)
        self._vectors, self._factor = items, graph_factor
        self._items = tf.Variable(items)

    def embed(self, history: tf.Tensor, ratings: tf.Tensor, features: tf.Tensor) -> tf.Tensor:
        return tf.tensor_scatter_nd_add(features, history[:, :1], self._entries(history, ratings))

    def contributions(
        self, history: tf.Tensor, ratings: tf.Tensor, features: tf.Tensor, item_vectors: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        entries = self._entries(history, ratings) * self._told_factor
        added = tf.linalg.matvec(tf.gather(item_vectors, history[:, 0]), entries)
        return added, tf.linalg.matvec(item_vectors, features)

    def _entries(self, history: tf.Tensor, ratings: tf.Tensor) -> tf.Tensor:
        ratings = tf.where(tf.math.is_nan(ratings), 1.0, ratings)
        return tf.gather(self._items, history[:, 1]) * ratings[:, None] * self._factor

    def oracle(self, queries: Queries) -> NDArray[np.float32]:
        embedded = queries.features.copy()
        for (position, item), rating in zip(queries.history, queries.ratings, strict=True):
            embedded[position] += self._vectors[item] * (1 if np.isnan(rating) else rating)
        return embedded


class EvenFirst(tf.Module):
    """Prefers items of even rows, and among those what was retrieved with a lower score."""

    def __init__(self, candidates: int, graph_factor: float = 1.0) -> None:
        super().__init__()
        self.candidates, self._factor = candidates, graph_factor

    def rank(
        self, user_rows: tf.Tensor, item_rows: tf.Tensor, retrieval_scores: tf.Tensor
    ) -> tf.Tensor:
        is_even = tf.cast(item_rows % 2 == 0, tf.float32)
        finite = tf.maximum(retrieval_scores, -1e6)
        return 1000 * is_even * self._factor - finite + 0 * tf.cast(user_rows, tf.float32)[:, None]

    def oracle(
        self,
        user_rows: NDArray[np.int32],
        item_rows: NDArray[np.int32],
        retrieval_scores: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        return 1000 * (item_rows % 2 == 0) - np.maximum(retrieval_scores, np.float32(-1e6))


def save(folder: Path, stages: Stages, kind: str = "exact") -> Path:
    index = (
        ExactIndex(EMBEDDINGS, stages) if kind == "exact" else ScannIndex(EMBEDDINGS, stages=stages)
    )
    index.save(folder)
    return folder


def ask(folder: Path, signature: str, k: int) -> dict[str, np.ndarray]:
    answer = tf.saved_model.load(str(folder)).signatures[signature](
        user_rows=tf.constant(EVERYBODY),
        k=tf.constant(k),
        excluded=tf.constant(HISTORIES.pairs(EVERYBODY)),
    )
    return {name: values.numpy() for name, values in answer.items()}


def test_both_stages_pass_the_gate_as_they_were_made(tmp_path: Path) -> None:
    stages = Stages(SumTower(EMBEDDINGS.items), EvenFirst(CANDIDATES))

    save(tmp_path, stages)

    check_parity(tmp_path, EMBEDDINGS, HISTORIES)
    check_stages(tmp_path, RetrievalModel(EMBEDDINGS, stages), HISTORIES)


@pytest.mark.parametrize(
    ("stages", "stage"),
    [
        (Stages(query_tower=SumTower(EMBEDDINGS.items, graph_factor=1.01)), "query tower"),
        (Stages(query_tower=SumTower(EMBEDDINGS.items, graph_factor=np.nan)), "query tower"),
        (Stages(query_tower=SumTower(EMBEDDINGS.items, told_factor=1.01)), "explanation"),
        (Stages(query_tower=SumTower(EMBEDDINGS.items, told_factor=np.nan)), "explanation"),
        (Stages(ranker=EvenFirst(CANDIDATES, graph_factor=1.01)), "ranker"),
    ],
)
def test_a_stage_that_computes_anything_else_is_named(
    tmp_path: Path, stages: Stages, stage: str
) -> None:
    save(tmp_path, stages)

    with pytest.raises(ExportError, match=f"the exported {stage} differs from the trainer by"):
        check_stages(tmp_path, RetrievalModel(EMBEDDINGS, stages), HISTORIES)


@pytest.mark.parametrize("kind", ["exact", pytest.param("scann", marks=pytest.mark.long)])
@pytest.mark.parametrize("k", [1, 3, CANDIDATES, 25, ITEMS + 1])
def test_the_second_stage_orders_what_the_first_found(tmp_path: Path, kind: str, k: int) -> None:
    model = RetrievalModel(EMBEDDINGS, Stages(ranker=EvenFirst(max(k, CANDIDATES))))

    found = ask(save(tmp_path, model.stages, kind), "recommend", k)

    expected = top_k(model_scorer(model, HISTORIES)(EVERYBODY), min(k, ITEMS))
    served = np.where(found["scores"] > -np.inf, found["item_rows"], -1)
    assert served.tolist() == expected.tolist()
    for user in EVERYBODY:
        rows = served[user][served[user] >= 0]
        assert set(rows.tolist()).isdisjoint(SEEN[user])
        # The first stage's scores stand beside, of the same items.
        assert found["retrieval_scores"][user][: len(rows)] == pytest.approx(
            EMBEDDINGS.score(EVERYBODY)[user, rows], abs=1e-5
        )


def test_a_user_with_few_items_left_gets_them_all_and_no_more(tmp_path: Path) -> None:
    found = ask(save(tmp_path, Stages(ranker=EvenFirst(CANDIDATES))), "recommend", 5)

    served = found["item_rows"][1][found["scores"][1] > -np.inf]
    assert sorted(served.tolist()) == [0, 1, 2]
    assert set(served[:2].tolist()) == {0, 2}


def test_given_candidates_are_scored_as_given(tmp_path: Path) -> None:
    loaded = tf.saved_model.load(str(save(tmp_path, Stages(ranker=EvenFirst(CANDIDATES)))))
    item_rows = np.array([[5, 4], [0, 39]], np.int32)

    found = loaded.signatures["rank"](
        user_rows=tf.constant([3, 1]), item_rows=tf.constant(item_rows)
    )

    retrieval_scores = np.take_along_axis(EMBEDDINGS.score(np.array([3, 1])), item_rows, axis=1)
    expected = EvenFirst(CANDIDATES).oracle(np.array([3, 1]), item_rows, retrieval_scores)
    assert found["scores"].numpy() == pytest.approx(expected, abs=1e-3)


def test_a_query_of_history_and_features_finds_what_its_vector_finds(tmp_path: Path) -> None:
    loaded = tf.saved_model.load(str(save(tmp_path, Stages(SumTower(EMBEDDINGS.items)))))

    embedded = loaded.signatures["embed_queries"](
        history=tf.constant([[0, 7], [0, 2], [2, 7]]),
        ratings=tf.constant([2.0, np.nan, np.nan]),
        features=tf.constant(np.eye(LENGTH, dtype=np.float32)[:3]),
    )["embeddings"].numpy()

    items = EMBEDDINGS.items
    expected = np.eye(LENGTH)[:3] + np.stack([2 * items[7] + items[2], 0 * items[0], items[7]])
    assert embedded == pytest.approx(expected, abs=1e-5)


ALWAYS = {
    *("recommend", "retrieve", "embed_users", "search", "search_eligible", "score_items"),
    *("embed_items", "search_similar"),
}


@pytest.mark.parametrize(
    ("stages", "others"),
    [
        (Stages(), set()),
        (Stages(query_tower=SumTower(EMBEDDINGS.items)), {"embed_queries", "explain"}),
        (Stages(ranker=EvenFirst(CANDIDATES)), {"rank"}),
    ],
)
def test_signatures_of_a_stage_are_there_if_the_model_has_it(
    tmp_path: Path, stages: Stages, others: set[str]
) -> None:
    signatures = tf.saved_model.load(str(save(tmp_path, stages))).signatures

    assert set(signatures) == ALWAYS | others
