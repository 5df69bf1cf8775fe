"""The fake server of recserve_client.testing beside the real one: the same questions to both.

Which items are best differs, since one has a model and the other has none. All else must not: what
may come back and how many, source and reasons, counts, and what is told of each item.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fake_beside_real import EVENTS, GENRES, ITEMS, USERS, Pair, both_running
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recserve.v1 import feedback_service_pb2 as feedback_pb
from recserve.v1 import model_service_pb2 as model_pb
from recserve.v1 import recommendation_service_pb2 as pb

RECORD = feedback_pb.RecordEventsRequest(events=EVENTS)
HISTORY = [pb.HistoryEntry(item_id="i8"), pb.HistoryEntry(item_id="x")]


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with both_running(tmp_path) as running:
        yield running


def shape(answer: Message) -> object:
    """Returns what both servers must agree on: all but order, scores and, of several, reasons."""
    if isinstance(answer, pb.BatchRecommendResponse):
        return [shape(each) for each in answer.responses]
    if not hasattr(answer, "items"):
        return answer
    frame = type(answer).FromString(answer.SerializeToString())
    del frame.items[:]
    # Which items come back if more would do is the model's own business.
    are_all_there = isinstance(answer, pb.RankItemsResponse) or answer.is_short
    scores = [item.score for item in answer.items]
    return (
        frame,
        scores == sorted(scores, reverse=True),
        {each.item_id: item_shape(each) for each in answer.items}
        if are_all_there
        else len({each.item_id for each in answer.items}),
    )


def item_shape(item: pb.ScoredItem) -> pb.ScoredItem:
    told = pb.ScoredItem.FromString(item.SerializeToString())
    told.score = 0
    if told.HasField("percentile"):
        assert 0 <= told.percentile <= 100
        told.percentile = 0
    reasons = sorted(told.explanation.contributions, key=lambda each: each.item_id)
    if told.HasField("explanation"):
        if len(reasons) == 3:  # there may be more, of which these need not be the same
            del told.explanation.shared_attributes[:]
            reasons = [pb.Contribution()] * 3
        del told.explanation.contributions[:]
        told.explanation.contributions.extend(
            pb.Contribution(item_id=each.item_id, title=each.title) for each in reasons
        )
    return told


ITEM_IDS = st.one_of(
    st.integers(0, ITEMS - 1).map(lambda row: f"i{row}"), st.sampled_from(["x", "i999"])
)
ALL_USERS = [*(f"u{row}" for row in range(USERS)), "liker", "viewer", "stranger"]
USER_IDS = st.sampled_from(ALL_USERS)
ENTRIES = st.builds(
    pb.HistoryEntry, item_id=ITEM_IDS, rating=st.one_of(st.none(), st.integers(1, 5))
)
CONDITIONS = st.one_of(
    st.builds(
        lambda least, width: pb.Filter(
            attribute="year", range=pb.NumberRange(min=least, max=least + width)
        ),
        st.integers(1978, 2012),
        st.integers(0, 40),
    ),
    st.builds(
        lambda attribute, kind, values: pb.Filter(
            attribute=attribute, **{kind: pb.TextValues(values=values)}
        ),
        st.sampled_from(["genres", "studio"]),
        st.sampled_from(["any", "all", "none"]),
        st.lists(st.sampled_from([*GENRES, "A", "B"]), min_size=1, max_size=3),
    ),
)
VIEWS = st.sampled_from(list(pb.ItemView.values()))


def sometimes(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.none(), values)


ASKERS = {
    "user_id": sometimes(USER_IDS),
    "history": st.lists(ENTRIES, max_size=2),
    "features": st.sampled_from([(), (pb.UserFeature(name="age", number=20),)]),
    "strict": st.booleans(),
    "view": VIEWS,
    "explain": st.booleans(),
}
LABELS = st.sampled_from(["", "stable", "canary"])
SELECTIONS = {
    "k": st.sampled_from([0, 1, *[ITEMS + 5] * 4]),
    "excluded_item_ids": st.lists(ITEM_IDS, max_size=8),
    "allowed_item_ids": st.one_of(st.just([]), st.just([]), st.lists(ITEM_IDS, max_size=20)),
    "filters": st.lists(CONDITIONS, max_size=2),
}
RECOMMEND = st.builds(
    pb.RecommendRequest,
    include_seen=st.booleans(),
    model_label=LABELS,
    **ASKERS,
    **SELECTIONS,
)
REQUESTS = st.one_of(
    RECOMMEND,
    RECOMMEND,
    st.builds(pb.BatchRecommendRequest, requests=st.lists(RECOMMEND, min_size=1, max_size=3)),
    st.builds(
        pb.RankItemsRequest,
        item_ids=st.lists(ITEM_IDS, min_size=1, max_size=9, unique=True),
        **ASKERS,
    ),
    st.builds(
        pb.FindSimilarItemsRequest,
        item_ids=st.lists(ITEM_IDS, min_size=1, max_size=3),
        view=VIEWS,
        **SELECTIONS,
    ),
)


async def test_any_question_gets_an_answer_of_the_same_shape(pair: Pair) -> None:
    loop = asyncio.get_running_loop()
    recorded, as_recorded = await pair.ask(RECORD)
    assert recorded == as_recorded
    assert recorded.duplicate_count == 1

    @settings(
        max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(REQUESTS)
    def compare(request: Message) -> None:
        real, fake = asyncio.run_coroutine_threadsafe(pair.ask(request), loop).result(60)
        assert shape(fake) == shape(real)

    await asyncio.to_thread(compare)


async def test_all_that_is_known_of_a_user_counts_alike(pair: Pair) -> None:
    await pair.ask(RECORD)

    for user_id in ALL_USERS:
        for fields in ({}, {"include_seen": True}, {"explain": True, "history": HISTORY}):
            request = pb.RecommendRequest(user_id=user_id, k=ITEMS + 5, **fields)
            real, fake = await pair.ask(request)
            assert shape(fake) == shape(real), request


async def test_models_are_told_alike(pair: Pair) -> None:
    for request in (model_pb.GetModelRequest(), model_pb.GetModelRequest(name="films", version=1)):
        answers = await pair.ask(request)
        real, fake = (answer.model for answer in answers)

        for model in (real, fake):
            assert model.HasField("load_time")
            for own in ("kind", "embedding_dimension", "dataset", "create_time", "load_time"):
                model.ClearField(own)
        assert fake == real

    real_list, fake_list = await pair.ask(model_pb.ListModelsRequest())
    assert len(fake_list.models) == len(real_list.models) == 1
    assert fake_list.next_page_token == real_list.next_page_token == ""


@pytest.mark.parametrize(
    "service",
    ["", *(f"recserve.v1.{name}Service" for name in ("Recommendation", "Feedback", "Model"))],
)
async def test_health_is_told_alike(pair: Pair, service: str) -> None:
    request = health_pb2.HealthCheckRequest(service=service)

    real, fake = [await health_pb2_grpc.HealthStub(each).Check(request) for each in pair]

    assert fake == real


async def test_a_feature_of_any_name_and_type_means_something_to_the_fake(pair: Pair) -> None:
    """The one difference: a fake server has no table of users that would tell which there are."""
    request = pb.RecommendRequest(features=[pb.UserFeature(name="shoe size", text="large")])

    real, fake = await pair.ask(request)

    assert isinstance(real, status_pb2.Status)
    assert fake.source == pb.RECOMMENDATION_SOURCE_FEATURES
