"""Mixtures of requests to real SavedModels, exact and by ScaNN, over real gRPC, against NumPy.

The model is not trained but drawn: what is tested is serving. Scores are compared within float32's
rounding; what is eligible, how many items there are and that none comes twice are exact.
"""

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recserve.artifact.v1 import manifest_pb2
from recserve.v1 import recommendation_service_pb2 as pb
from recserve.v1.recommendation_service_pb2_grpc import RecommendationServiceStub

pytestmark = pytest.mark.tensorflow

USERS, ITEMS, LENGTH = 40, 8000, 8
GENRES = ("Comedy", "Drama", "Horror")
PRIOR = 2.0
Serve = Callable[..., AbstractContextManager]


@dataclass(frozen=True)
class World:
    users: np.ndarray
    items: np.ndarray
    history_vectors: np.ndarray
    weights: np.ndarray
    start: np.ndarray
    histories: list[np.ndarray]
    years: np.ndarray
    genres: np.ndarray
    """bool [items, genres]."""
    counts: np.ndarray

    @classmethod
    def draw(cls) -> "World":
        random = np.random.default_rng(0)
        draw = lambda *shape: random.normal(size=shape).astype(np.float32)  # noqa: E731
        users, items = draw(USERS, LENGTH + 1), draw(ITEMS, LENGTH + 1)
        users[:, -1] = 1
        sizes = random.integers(0, 60, USERS)
        return cls(
            users,
            items,
            draw(ITEMS, LENGTH),
            draw(2, LENGTH),
            draw(LENGTH),
            [np.sort(random.choice(ITEMS, size, False)).astype(np.int32) for size in sizes],
            np.where(random.random(ITEMS) < 0.9, random.integers(1950, 2020, ITEMS), np.nan),
            random.random((ITEMS, len(GENRES))) < (0.5, 0.2, 0.01),
            random.integers(0, 50, ITEMS),
        )

    def tower(self, rows: np.ndarray, age: float | None) -> np.ndarray:
        features = np.array([0.0, 1.0] if age is None else [(age - 30) / 10, 0.0])
        pooled = self.history_vectors[rows].sum(axis=0) / (len(rows) + PRIOR)
        return np.append(pooled + features @ self.weights + self.start, 1)

    def publish(self, models: Path, kind: str) -> None:
        from recserve_trainer.artifact.export import Artifact, publish
        from recserve_trainer.config import IndexConfig
        from recserve_trainer.features import Feature
        from recserve_trainer.indexes.scann_proposals import ScannConfig
        from recserve_trainer.interactions import Histories
        from recserve_trainer.learning.pooled_query import PooledQueryTower
        from recserve_trainer.retrieval import Embeddings, RetrievalModel, Stages
        from recserve_trainer.tables import ItemTable, UserTable, category_column, number_column

        age = Feature("age", "number", mean=30, deviation=10)
        tower = PooledQueryTower((age,), self.history_vectors, (self.weights, self.start), PRIOR)
        columns = {
            "year": number_column([None if math.isnan(year) else int(year) for year in self.years]),
            "genres": category_column(
                [[GENRES[place] for place in np.flatnonzero(row)] for row in self.genres]
            ),
        }
        ids = [f"i{row}" for row in range(ITEMS)]
        manifest = manifest_pb2.Manifest(
            model_name="films",
            model=manifest_pb2.Model(
                kind="drawn", embedding_dimension=LENGTH + 1, user_count=USERS, item_count=ITEMS
            ),
        )
        manifest.model.query_features.add(name="age", kind="number", mean=30, deviation=10)
        offsets = np.cumsum([0, *map(len, self.histories)])
        artifact = Artifact(
            RetrievalModel(Embeddings(self.users, self.items), Stages(tower)),
            UserTable([f"u{row}" for row in range(USERS)]),
            Histories(offsets, np.concatenate(self.histories)),
            ItemTable(ids, ids, columns),
            self.counts,
            manifest,
            IndexConfig(kind=kind, min_recall=0.0),
            ScannConfig(leaves=80, leaves_to_search=40, candidates=40) if kind == "scann" else None,
        )
        publish(artifact, models)


WORLD = World.draw()
ROWS = st.integers(0, ITEMS - 1)


@st.composite
def requests(draw: st.DrawFn) -> pb.RecommendRequest:
    request = pb.RecommendRequest(
        k=draw(st.sampled_from([1, 10, 100, 500])), include_seen=draw(st.booleans())
    )
    by = draw(st.sampled_from(["user", "user", "history", "features", "user and history"]))
    if "user" in by:
        request.user_id = f"u{draw(st.integers(0, USERS - 1))}"
    if "history" in by:
        rows = draw(st.lists(ROWS, min_size=1, max_size=4, unique=True))
        request.history.extend(pb.HistoryEntry(item_id=f"i{row}") for row in rows)
    if by == "features" or (by == "history" and draw(st.booleans())):
        request.features.add(name="age", number=draw(st.sampled_from([20, 55])))
    request.excluded_item_ids.extend(f"i{row}" for row in draw(st.lists(ROWS, max_size=5)))
    for name in draw(st.sets(st.sampled_from(GENRES), max_size=2)):
        values = pb.TextValues(values=[name])
        kind = draw(st.sampled_from(["any", "all", "none"]))
        request.filters.append(pb.Filter(attribute="genres", **{kind: values}))
    if draw(st.booleans()):
        least = draw(st.sampled_from([1950, 2010, 2019, 2050]))
        request.filters.append(pb.Filter(attribute="year", range=pb.NumberRange(min=least)))
    request.explain = draw(st.booleans())
    return request


def rows_of(entries: list[pb.HistoryEntry]) -> np.ndarray:
    return np.array([int(each.item_id[1:]) for each in entries], np.int32)


def scores_and_seen(request: pb.RecommendRequest) -> tuple[np.ndarray, np.ndarray, int]:
    fresh = rows_of(request.history)
    age = request.features[0].number if request.features else None
    if not request.user_id:
        source = (
            pb.RECOMMENDATION_SOURCE_HISTORY if len(fresh) else pb.RECOMMENDATION_SOURCE_FEATURES
        )
        return WORLD.items @ WORLD.tower(fresh, age), fresh, source
    user = int(request.user_id[1:])
    query, trained = WORLD.users[user].astype(np.float64), WORLD.histories[user]
    if not len(fresh):
        return WORLD.items @ query, trained, pb.RECOMMENDATION_SOURCE_USER_ID
    both = np.union1d(trained, fresh)
    query = query + WORLD.tower(both, None) - WORLD.tower(trained, None)
    return WORLD.items @ query, both, pb.RECOMMENDATION_SOURCE_USER_ID_AND_HISTORY


def eligible_items(request: pb.RecommendRequest, seen: np.ndarray) -> np.ndarray:
    eligible = np.ones(ITEMS, bool)
    for each in request.filters:
        if each.HasField("range"):
            eligible &= each.range.min <= WORLD.years
        else:
            kind = each.WhichOneof("condition")
            has = WORLD.genres[:, GENRES.index(getattr(each, kind).values[0])]
            eligible &= has != (kind == "none")
    eligible[[int(item_id[1:]) for item_id in request.excluded_item_ids]] = False
    if not request.include_seen:
        eligible[seen] = False
    return eligible


@pytest.fixture(scope="module", params=["exact", pytest.param("scann", marks=pytest.mark.long)])
def models(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "scann":
        pytest.importorskip("scann", reason="needs scann (Linux on x86-64)")
    folder = tmp_path_factory.mktemp(request.param)
    WORLD.publish(folder, request.param)
    return folder


@pytest.fixture
def address(models: Path, serve: Serve) -> Iterator[str]:
    with serve("--models", models, "--address", "127.0.0.1:0", "--admin-address", "") as program:
        yield program.wait_for("serving").rpartition(" ")[2]


async def test_any_mixture_is_answered_as_numpy_says(address: str, models: Path) -> None:
    loop = asyncio.get_running_loop()
    is_exact = "exact" in models.name
    found = wanted = 0

    async with grpc.aio.insecure_channel(address) as channel:
        stub = RecommendationServiceStub(channel)

        async def ask(batch: list[pb.RecommendRequest]) -> list[pb.RecommendResponse]:
            return await asyncio.gather(*(stub.Recommend(each, timeout=30) for each in batch))

        @settings(
            max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None
        )
        @given(st.lists(requests(), min_size=1, max_size=8))
        def compare(batch: list[pb.RecommendRequest]) -> None:
            nonlocal found, wanted
            answers = asyncio.run_coroutine_threadsafe(ask(batch), loop).result(60)
            for request, answer in zip(batch, answers, strict=True):
                hits, count = check(request, answer)
                assert not is_exact or hits == count
                found, wanted = found + hits, wanted + count

        await asyncio.to_thread(compare)

    # The approximate index may miss some; it must not miss many.
    assert found >= 0.9 * wanted


def check(request: pb.RecommendRequest, answer: pb.RecommendResponse) -> tuple[int, int]:
    """Checks all promises; returns how many of the best items were found, and of how many."""
    scores, seen, source = scores_and_seen(request)
    eligible = eligible_items(request, seen)
    rows = np.array([int(item.item_id[1:]) for item in answer.items], np.int64)
    count = min(request.k, int(eligible.sum()))
    assert answer.source == source
    assert len(rows) == len(set(rows.tolist())) == count
    assert answer.is_short == (count < request.k)
    if not count:
        return 0, 0
    assert eligible[rows].all()
    told = np.array([item.score for item in answer.items])
    np.testing.assert_allclose(told, scores[rows], rtol=1e-4, atol=1e-3)
    assert (np.diff(told) <= 0).all()
    if request.explain:
        check_explanations(request, answer, scores)
    best = np.sort(scores[eligible])[::-1][:count]
    return int((told >= best[-1] - 1e-3).sum()), count


def check_explanations(
    request: pb.RecommendRequest, answer: pb.RecommendResponse, scores: np.ndarray
) -> None:
    fresh = rows_of(request.history)
    for item in answer.items[:5]:
        row = int(item.item_id[1:])
        if request.user_id:
            continue  # a drawn user's vector has nothing to do with the history
        assert item.explanation.is_exact
        each = WORLD.history_vectors[fresh] @ WORLD.items[row, :-1] / (len(fresh) + PRIOR)
        expected = sorted((added for added in each if added > 0), reverse=True)[:3]
        told = [each.score for each in item.explanation.contributions]
        np.testing.assert_allclose(told, expected, rtol=1e-4, atol=1e-4)
        assert item.explanation.is_popular == (not expected)
        assert scores[row] == pytest.approx(item.score, rel=1e-4, abs=1e-3)


@pytest.mark.long
async def test_similar_items_are_those_that_all_users_score_alike(address: str) -> None:
    covariance = np.cov(WORLD.users.T.astype(np.float64), bias=True)
    products = WORLD.items @ covariance @ WORLD.items.T
    lengths = np.sqrt(np.diag(products))
    request = pb.FindSimilarItemsRequest(item_ids=["i5", "i9", "nothing"], k=20)
    request.filters.add(attribute="genres", any=pb.TextValues(values=["Drama"]))

    async with grpc.aio.insecure_channel(address) as channel:
        answer = await RecommendationServiceStub(channel).FindSimilarItems(request, timeout=30)

    similarity = (products[[5, 9]] / lengths[[5, 9], None] / lengths).mean(axis=0)
    similarity[[5, 9]] = -9
    similarity[~WORLD.genres[:, 1]] = -9
    best = np.argsort(-similarity, kind="stable")[:20]
    assert [item.item_id for item in answer.items] == [f"i{row}" for row in best]
    told = [item.score for item in answer.items]
    np.testing.assert_allclose(told, similarity[best], rtol=1e-3, atol=1e-4)
    assert answer.unknown_item_count == 1
