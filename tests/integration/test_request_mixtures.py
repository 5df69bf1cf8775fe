"""Random mixtures of everything a request may ask for, over real gRPC, against the oracle."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from request_oracle import TOLERANCE, Asked, Oracle, weight

from recserve.v1 import recommendation_service_pb2 as pb
from recserve.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from recserve_server.config import BatchingConfig, ServerConfig
from recserve_server.matrix_model import MatrixModel
from recserve_server.testing import running_server

USERS, ITEMS = 6, 40
GENRES = ("Comedy", "Drama", "Horror", "War")


def matrix_model(*, two_stages: bool) -> MatrixModel:
    """Small whole numbers: sums are exact, and equal scores frequent."""
    random = np.random.default_rng(0)
    numbers = random.integers(-9, 10, (USERS, ITEMS)).astype(np.float32)
    genres = [
        [genre for genre in GENRES if random.random() < 0.4] if random.random() < 0.9 else None
        for _ in range(ITEMS)
    ]
    return MatrixModel(
        numbers,
        histories=[
            sorted(random.choice(ITEMS, size, False).tolist()) for size in (0, 1, 5, 9, 30, 39)
        ],
        item_item=random.integers(-3, 4, (ITEMS, ITEMS)).astype(np.float32),
        age_scores=random.integers(-3, 4, ITEMS).astype(np.float32),
        second=random.integers(-9, 10, (USERS, ITEMS)).astype(np.float32) if two_stages else None,
        candidates=7 if two_stages else 0,
        attributes={
            "genres": genres,
            "year": [float(1980 + row) if row % 7 else None for row in range(ITEMS)],
            "studio": [("A", "B", "C", None)[row % 4] for row in range(ITEMS)],
        },
    )


ITEM_IDS = st.one_of(
    st.integers(0, ITEMS - 1).map(lambda row: f"i{row}"), st.sampled_from(["x", "i999"])
)
USER_IDS = st.one_of(st.integers(0, USERS - 1).map(lambda row: f"u{row}"), st.just("stranger"))


@st.composite
def histories(draw: st.DrawFn) -> list[pb.HistoryEntry]:
    entries = []
    for item_id in draw(st.lists(ITEM_IDS, max_size=6)):
        entry = pb.HistoryEntry(item_id=item_id)
        if draw(st.booleans()):
            entry.rating = draw(st.integers(1, 5))
        entries.append(entry)
    return entries


@st.composite
def conditions(draw: st.DrawFn) -> pb.Filter:
    if draw(st.booleans()):
        least, greatest = draw(st.integers(1978, 2022)), draw(st.integers(1978, 2022))
        ends = {"min": least} if draw(st.booleans()) else {}
        ends |= {"max": max(least, greatest)} if draw(st.booleans()) or not ends else {}
        return pb.Filter(attribute="year", range=pb.NumberRange(**ends))
    attribute = draw(st.sampled_from(["genres", "studio"]))
    known = GENRES if attribute == "genres" else ("A", "B", "C")
    values = draw(st.lists(st.sampled_from([*known, "None such"]), min_size=1, max_size=3))
    kind = draw(st.sampled_from(["any", "all", "none"]))
    return pb.Filter(attribute=attribute, **{kind: pb.TextValues(values=values)})


@st.composite
def selections(draw: st.DrawFn) -> dict[str, object]:
    return {
        "excluded_item_ids": draw(st.lists(ITEM_IDS, max_size=ITEMS)),
        "allowed_item_ids": draw(st.one_of(st.just([]), st.lists(ITEM_IDS, max_size=20))),
        "filters": draw(st.lists(conditions(), max_size=2)),
    }


@st.composite
def diversities(draw: st.DrawFn) -> pb.Diversity:
    caps = [
        pb.AttributeCap(attribute=name, max_count=draw(st.integers(1, 3)))
        for name in draw(st.sets(st.sampled_from(["genres", "studio"])))
    ]
    return pb.Diversity(caps=caps, **{"lambda": draw(st.sampled_from([0, 0.3, 1]))})


@st.composite
def who(draw: st.DrawFn) -> dict[str, object]:
    fields: dict[str, object] = {}
    if draw(st.booleans()):
        fields["user_id"] = draw(USER_IDS)
    if draw(st.booleans()) or not fields:
        fields["history"] = draw(histories())
    if draw(st.booleans()) or not (fields.get("user_id") or fields.get("history")):
        age = pb.UserFeature(name="age", number=draw(st.sampled_from([20, 30, 50])))
        fields["features"] = [age]
    return fields


@st.composite
def recommend_requests(draw: st.DrawFn) -> pb.RecommendRequest:
    options = draw(selections()) if draw(st.booleans()) else {}
    if draw(st.booleans()):
        options["diversity"] = draw(diversities())
    return pb.RecommendRequest(
        k=draw(st.integers(1, ITEMS + 5)),
        include_seen=draw(st.booleans()),
        explain=draw(st.booleans()),
        view=draw(st.sampled_from(list(pb.ItemView.values()))),
        **draw(who()),
        **options,
    )


@st.composite
def similar_requests(draw: st.DrawFn) -> pb.FindSimilarItemsRequest:
    item_ids = draw(st.lists(ITEM_IDS, min_size=1, max_size=3, unique=True))
    return pb.FindSimilarItemsRequest(
        item_ids=item_ids, k=draw(st.integers(1, ITEMS)), **draw(selections())
    )


@st.composite
def rank_requests(draw: st.DrawFn) -> pb.RankItemsRequest:
    item_ids = draw(st.lists(ITEM_IDS, min_size=1, max_size=12, unique=True))
    return pb.RankItemsRequest(item_ids=item_ids, explain=draw(st.booleans()), **draw(who()))


REQUESTS = st.lists(
    st.one_of(recommend_requests(), recommend_requests(), similar_requests(), rank_requests()),
    min_size=1,
    max_size=12,
)
CONFIG = {"max_batch_size": 8, "max_enqueued": 256}


@pytest.fixture(params=[False, True], ids=["one stage", "two stages"])
async def served(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[Oracle, RecommendationServiceStub]]:
    model = matrix_model(two_stages=request.param)
    model.publish(tmp_path)
    config = ServerConfig(
        models_dir=tmp_path, address="127.0.0.1:0", batching=BatchingConfig(**CONFIG)
    )
    async with (
        running_server(config) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        yield Oracle(model), RecommendationServiceStub(channel)


async def test_any_mixture_is_answered_as_the_oracle_says(
    served: tuple[Oracle, RecommendationServiceStub],
) -> None:
    oracle, stub = served
    loop = asyncio.get_running_loop()
    methods = {
        pb.RecommendRequest: (stub.Recommend, check_recommended),
        pb.FindSimilarItemsRequest: (stub.FindSimilarItems, check_similar),
        pb.RankItemsRequest: (stub.RankItems, check_ranked),
    }

    async def ask(requests: list[pb.RecommendRequest]) -> list[object]:
        calls = [methods[type(each)][0](each, timeout=20) for each in requests]
        return await asyncio.gather(*calls, return_exceptions=True)

    @settings(
        max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(REQUESTS)
    def compare(requests: list[pb.RecommendRequest]) -> None:
        answers = asyncio.run_coroutine_threadsafe(ask(requests), loop).result(60)
        for request, answer in zip(requests, answers, strict=True):
            methods[type(request)][1](oracle, request, answer)

    await asyncio.to_thread(compare)


def check_recommended(
    oracle: Oracle, request: pb.RecommendRequest, answer: pb.RecommendResponse
) -> None:
    assert isinstance(answer, pb.RecommendResponse), answer
    asked, order, scores = oracle.recommended(request)
    rows = check_items(oracle, asked, answer.items, scores)
    assert (answer.source, answer.fallback_reason) == (asked.source, asked.fallback)
    assert answer.is_short == (len(rows) < request.k)
    if request.HasField("diversity") and oracle.is_varied(request.diversity):
        check_diversity(oracle, request, order, scores, rows)
    else:
        assert rows == order[: request.k]
    unknown = [oracle.row(item_id) is None for item_id in request.excluded_item_ids]
    assert answer.unknown_excluded_count == sum(unknown)
    taken = {entry.item_id for entry in request.history}
    assert answer.unknown_history_count == sum(oracle.row(each) is None for each in taken)
    for item in answer.items:
        assert item.HasField("retrieval_score") == (asked.second is not None)
        if asked.second is not None:
            assert item.retrieval_score == asked.scores[oracle.row(item.item_id)]
        assert item.HasField("explanation") == request.explain
        assert bool(item.attributes) == (request.view == pb.ITEM_VIEW_FULL)


def check_diversity(
    oracle: Oracle,
    request: pb.RecommendRequest,
    order: list[int],
    scores: np.ndarray,
    rows: list[int],
) -> None:
    oracle.check_varied(request.diversity, order, scores, rows)
    if not request.diversity.caps:
        assert len(rows) == min(request.k, len(order))
    if not weight(request.diversity):
        assert rows == sorted(rows, key=order.index)


def check_items(
    oracle: Oracle, asked: Asked, items: list[pb.ScoredItem], scores: np.ndarray
) -> list[int]:
    rows = [oracle.row(item.item_id) for item in items]
    assert [item.score for item in items] == [scores[row] for row in rows]
    assert [item.title for item in items] == [f"Film {row}" for row in rows]
    assert len(set(rows)) == len(rows)
    for item in items:
        if item.HasField("explanation") and asked.source == pb.RECOMMENDATION_SOURCE_POPULARITY:
            assert item.explanation == pb.Explanation(is_popular=True)
    return rows


def check_similar(
    oracle: Oracle, request: pb.FindSimilarItemsRequest, answer: pb.FindSimilarItemsResponse
) -> None:
    given_rows = [row for each in request.item_ids if (row := oracle.row(each)) is not None]
    if not given_rows:
        assert isinstance(answer, grpc.aio.AioRpcError)
        assert answer.code() is grpc.StatusCode.NOT_FOUND
        return
    assert isinstance(answer, pb.FindSimilarItemsResponse), answer
    vectors = oracle.retriever.embed_items(np.arange(ITEMS)).astype(np.float64)
    similarity = (vectors[given_rows] @ vectors.T).mean(axis=0)
    eligible = oracle.eligible(request) - set(given_rows)
    rows = [oracle.row(item.item_id) for item in answer.items]
    assert len(rows) == len(set(rows)) == min(request.k, len(eligible))
    assert set(rows) <= eligible
    found = [item.score for item in answer.items]
    assert found == pytest.approx([similarity[row] for row in rows], abs=TOLERANCE)
    best = sorted((similarity[row] for row in eligible), reverse=True)[: len(rows)]
    assert found == pytest.approx(best, abs=TOLERANCE)
    assert answer.is_short == (len(rows) < request.k)
    assert answer.unknown_item_count == len(request.item_ids) - len(given_rows)


def check_ranked(
    oracle: Oracle, request: pb.RankItemsRequest, answer: pb.RankItemsResponse
) -> None:
    assert isinstance(answer, pb.RankItemsResponse), answer
    asked = oracle.asked(request)
    scores = asked.scores if asked.second is None else asked.second
    known = [row for each in request.item_ids if (row := oracle.row(each)) is not None]
    rows = check_items(oracle, asked, answer.items, scores)
    assert rows == sorted(known, key=lambda row: (-scores[row], row))
    assert (answer.source, answer.fallback_reason) == (asked.source, asked.fallback)
    unknown = [each for each in request.item_ids if oracle.row(each) is None]
    assert list(answer.unknown_item_ids) == unknown
