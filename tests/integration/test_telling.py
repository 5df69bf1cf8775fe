"""What is told of each item besides its score: reasons, attributes, percentiles."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from recserve.v1 import recommendation_service_pb2 as pb
from recserve.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from recserve_server.config import ServerConfig
from recserve_server.matrix_model import MatrixModel
from recserve_server.testing import running_server

ADDS = np.zeros((6, 6), np.float32)
ADDS[:5, 5] = [5, -1, 3, 4, 1]
ADDS[0, 0] = 9
MODEL = MatrixModel(
    # "u0" is what the tower makes of the history; "u1" is not.
    np.stack([ADDS[[0, 1, 2, 3]].sum(axis=0), np.full(6, 7, np.float32)]),
    histories=[[0, 1, 2, 3], [0]],
    item_item=ADDS,
    attributes={
        "genres": [["War", "Drama"], ["War"], None, ["Comedy"], ["War"], ["Drama", "Comedy"]],
        "studio": ["A", "B", "A", "A", "A", "A"],
        "year": [1990, None, 1992, 1993, 1994, 1995],
    },
    percentiles=[(0, -10), (50, 0), (100, 10)],
)


@pytest.fixture
async def stub(tmp_path: Path) -> AsyncIterator[RecommendationServiceStub]:
    MODEL.publish(tmp_path)
    config = ServerConfig(models_dir=tmp_path, address="127.0.0.1:0")
    async with (
        running_server(config) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        yield RecommendationServiceStub(channel)


async def best(stub: RecommendationServiceStub, **fields: object) -> pb.ScoredItem:
    request = pb.RecommendRequest(k=1, allowed_item_ids=["i5"], **fields)
    answer = await stub.Recommend(request, timeout=5)
    return answer.items[0]


def reasons(item: pb.ScoredItem) -> list[tuple[str, float]]:
    return [(each.item_id, each.score) for each in item.explanation.contributions]


async def test_the_three_items_that_add_most_are_the_reasons(
    stub: RecommendationServiceStub,
) -> None:
    history = [pb.HistoryEntry(item_id=f"i{row}") for row in (4, 0, 1, 3, 2)]

    item = await best(stub, history=history, explain=True)

    assert reasons(item) == [("i0", 5), ("i3", 4), ("i2", 3)]
    assert item.explanation.contributions[0].title == "Film 0"
    assert item.explanation.is_exact
    assert not item.explanation.is_popular


async def test_a_rating_counts_in_the_reasons(stub: RecommendationServiceStub) -> None:
    history = [pb.HistoryEntry(item_id="i4", rating=5), pb.HistoryEntry(item_id="i2", rating=-1)]

    item = await best(stub, history=history, explain=True)

    assert reasons(item) == [("i4", 5)]


async def test_attributes_shared_with_the_reasons_are_told(
    stub: RecommendationServiceStub,
) -> None:
    history = [pb.HistoryEntry(item_id="i0"), pb.HistoryEntry(item_id="i1")]

    item = await best(stub, history=history, explain=True)

    assert {each.name: list(each.texts) for each in item.explanation.shared_attributes} == {
        "genres": ["Drama"],
        "studio": ["A"],
    }


@pytest.mark.parametrize(("user_id", "is_exact"), [("u0", True), ("u1", False)])
async def test_reasons_for_a_known_user_are_exact_only_if_they_add_up(
    stub: RecommendationServiceStub, user_id: str, is_exact: bool
) -> None:
    item = await best(stub, user_id=user_id, explain=True)

    assert item.explanation.is_exact is is_exact
    assert reasons(item)[0] == ("i0", 5)


async def test_an_item_is_no_reason_for_itself(stub: RecommendationServiceStub) -> None:
    history = [pb.HistoryEntry(item_id="i0")]
    request = pb.RecommendRequest(history=history, k=1, include_seen=True, explain=True)

    [item] = (await stub.Recommend(request, timeout=5)).items

    assert item.item_id == "i0"
    assert item.explanation == pb.Explanation(is_popular=True, is_exact=True)


async def test_the_full_view_tells_attributes_and_percentile(
    stub: RecommendationServiceStub,
) -> None:
    item = await best(stub, history=[pb.HistoryEntry(item_id="i0")], view="ITEM_VIEW_FULL")

    assert item.percentile == 75
    assert list(item.attributes) == [
        pb.Attribute(name="genres", texts=["Drama", "Comedy"]),
        pb.Attribute(name="studio", texts=["A"]),
        pb.Attribute(name="year", number=1995),
    ]


async def test_what_is_not_known_of_an_item_is_left_out(stub: RecommendationServiceStub) -> None:
    request = pb.RankItemsRequest(user_id="u1", item_ids=["i1", "i2"], view="ITEM_VIEW_FULL")

    items = (await stub.RankItems(request, timeout=5)).items

    assert [[each.name for each in item.attributes] for item in items] == [
        ["genres", "studio"],
        ["studio", "year"],
    ]


async def test_a_popular_items_percentile_is_its_place_in_the_catalogue(
    stub: RecommendationServiceStub,
) -> None:
    request = pb.RecommendRequest(user_id="nobody", k=6, view="ITEM_VIEW_FULL", explain=True)

    items = (await stub.Recommend(request, timeout=5)).items

    told = [item.percentile for item in items]
    assert told == pytest.approx([100 * below / 6 for below in (5, 4, 3, 2, 1, 0)])
    assert all(item.explanation == pb.Explanation(is_popular=True) for item in items)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"user_id": "nobody"}, "UNKNOWN_USER"),
        ({"history": [pb.HistoryEntry(item_id="x")]}, "NOTHING_KNOWN"),
    ],
    ids=["unknown user", "unknown items"],
)
async def test_who_wants_no_popular_items_is_told_why_there_are_no_others(
    stub: RecommendationServiceStub, fields: dict[str, object], reason: str
) -> None:
    answer = await stub.Recommend(pb.RecommendRequest(k=1, **fields), timeout=5)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Recommend(pb.RecommendRequest(k=1, strict=True, **fields), timeout=5)

    assert answer.fallback_reason == pb.FallbackReason.Value(f"FALLBACK_REASON_{reason}")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert reason in str(caught.value.details())


async def test_a_version_that_does_not_serve_is_refused(stub: RecommendationServiceStub) -> None:
    right = pb.RecommendRequest(user_id="u0", model_version=1)
    assert (await stub.Recommend(right, timeout=5)).model_version == 1

    with pytest.raises(grpc.aio.AioRpcError, match="version 7 of model 'films' does not serve"):
        await stub.Recommend(pb.RecommendRequest(user_id="u0", model_version=7), timeout=5)


@pytest.mark.parametrize(
    "fields",
    [{"explain": True, "user_id": "u0"}, {"user_id": "u0", "history": [{"item_id": "i1"}]}],
    ids=["reasons", "history"],
)
async def test_a_model_without_a_query_tower_says_what_it_cannot_do(
    tmp_path: Path, fields: dict[str, object]
) -> None:
    MatrixModel(MODEL.scores, MODEL.histories).publish(tmp_path)
    config = ServerConfig(models_dir=tmp_path, address="127.0.0.1:0")
    async with (
        running_server(config) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        call = RecommendationServiceStub(channel).Recommend(
            pb.RecommendRequest(k=1, **fields), timeout=5
        )
        if "explain" in fields:
            with pytest.raises(grpc.aio.AioRpcError, match="no signature explain"):
                await call
        else:  # what it knows of the user is still an answer
            assert (await call).source == pb.RECOMMENDATION_SOURCE_USER_ID
