"""The fake server of recserve_client.testing refuses what the real one refuses, to the letter."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from fake_beside_real import EVENTS, METHODS, Pair, both_running, event
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import status_pb2

from recserve.v1 import feedback_service_pb2 as feedback_pb
from recserve.v1 import model_service_pb2 as model_pb
from recserve.v1 import recommendation_service_pb2 as pb


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with both_running(tmp_path) as running:
        yield running


def recommend(**fields: object) -> pb.RecommendRequest:
    return pb.RecommendRequest(**{"user_id": "u0"} | fields)


def similar(**fields: object) -> pb.FindSimilarItemsRequest:
    return pb.FindSimilarItemsRequest(**{"item_ids": ["i0"]} | fields)


def rank(**fields: object) -> pb.RankItemsRequest:
    return pb.RankItemsRequest(**{"user_id": "u0", "item_ids": ["i0"]} | fields)


def filtered(attribute: str, **condition: object) -> pb.RecommendRequest:
    return recommend(filters=[pb.Filter(attribute=attribute, **condition)])


def varied(weight: float = 0, **caps: int) -> pb.RecommendRequest:
    given_caps = [pb.AttributeCap(attribute=name, max_count=most) for name, most in caps.items()]
    return recommend(diversity=pb.Diversity(caps=given_caps, **{"lambda": weight}))


def recorded(*args: object, **fields: object) -> feedback_pb.RecordEventsRequest:
    return feedback_pb.RecordEventsRequest(events=[EVENTS[0], event(*args, **fields)])


LONG, NAN = "x" * 129, float("nan")
TOKEN = "a-token-that-is-long-enough"
BAD = [
    recommend(k=-1),
    recommend(k=501),
    recommend(user_id=""),
    pb.RecommendRequest(),
    recommend(user_id=LONG),
    recommend(user_id="a\tb"),
    recommend(user_id="nobody", strict=True),
    recommend(user_id="nobody", history=[pb.HistoryEntry(item_id="x")], strict=True),
    recommend(model="other"),
    recommend(model=LONG),
    recommend(model_version=9),
    recommend(model_version=-1),
    recommend(model="films", model_version=9),
    recommend(model_label="canary"),
    recommend(model_label="beta"),
    recommend(model_label="x" * 200),
    recommend(model_label="stable", model_version=1),
    recommend(model_label="canary", model_version=1),
    recommend(model_label="canary", model_version=9),
    recommend(model_label="canary", model_version=-1),
    recommend(model_label="beta", model_version=1),
    recommend(model_label="canary", model="other"),
    recommend(model_label="canary", k=-1),
    recommend(view=9),
    recommend(history=[pb.HistoryEntry(item_id="")]),
    recommend(history=[pb.HistoryEntry(item_id="i0", rating=NAN)]),
    recommend(history=[pb.HistoryEntry(item_id="i0")] * 1001),
    recommend(features=[pb.UserFeature(name="age")]),
    recommend(features=[pb.UserFeature(name="age", number=NAN)]),
    recommend(features=[pb.UserFeature(name="age", number=1)] * 2),
    recommend(features=[pb.UserFeature(name="age", number=1)] * 65),
    recommend(excluded_item_ids=["i0", ""]),
    recommend(excluded_item_ids=["i0"] * 1001),
    recommend(allowed_item_ids=[LONG]),
    recommend(allowed_item_ids=["i0"] * 10_001),
    filtered("colour", any=pb.TextValues(values=["red"])),
    filtered("genres"),
    filtered("genres", any=pb.TextValues()),
    filtered("genres", all=pb.TextValues(values=["War"] * 101)),
    filtered("genres", range=pb.NumberRange(min=1)),
    filtered("year", none=pb.TextValues(values=["War"])),
    filtered("year", range=pb.NumberRange()),
    filtered("year", range=pb.NumberRange(min=2, max=1)),
    filtered("year", range=pb.NumberRange(min=NAN)),
    recommend(filters=[pb.Filter(attribute="colour")] * 17),
    varied(weight=1.5),
    varied(weight=NAN),
    varied(colour=1),
    varied(year=1),
    varied(genres=0),
    recommend(diversity=pb.Diversity(caps=[pb.AttributeCap(attribute="genres")] * 9)),
    recommend(diversity=pb.Diversity(caps=[pb.AttributeCap(attribute="genres", max_count=1)] * 2)),
    recommend(k=-1, user_id="", view=9, excluded_item_ids=[""] * 30),
    pb.BatchRecommendRequest(),
    pb.BatchRecommendRequest(requests=[recommend()] * 257),
    pb.BatchRecommendRequest(requests=[recommend(), recommend(k=-1)]),
    pb.BatchRecommendRequest(requests=[recommend(k=-1)] * 20),
    pb.BatchRecommendRequest(requests=[recommend(), recommend(model="other")]),
    pb.BatchRecommendRequest(requests=[recommend(), recommend(model_version=2)]),
    pb.BatchRecommendRequest(requests=[recommend(), recommend(model_version=-2)]),
    pb.BatchRecommendRequest(requests=[recommend(), recommend(model_label="canary")]),
    pb.BatchRecommendRequest(requests=[recommend(k=-1), recommend(model_label="canary")]),
    pb.BatchRecommendRequest(requests=[recommend(), recommend(model_label="beta")]),
    pb.BatchRecommendRequest(requests=[recommend(), recommend(user_id="nobody", strict=True)]),
    similar(item_ids=[]),
    similar(item_ids=["i0"] * 101),
    similar(item_ids=[""]),
    similar(item_ids=["x", "y"]),
    similar(k=-1, view=9),
    similar(model="other"),
    similar(model_version=2),
    similar(model_label="canary"),
    similar(model_label="beta"),
    rank(item_ids=[]),
    rank(item_ids=["i0", "i1", "i0"]),
    rank(item_ids=[f"i{number}" for number in range(1001)]),
    rank(user_id=""),
    rank(user_id="nobody", strict=True),
    rank(model="other"),
    rank(model_version=2),
    rank(model_label="canary"),
    rank(model_label="stable", model_version=1),
    rank(view=9),
    feedback_pb.RecordEventsRequest(),
    feedback_pb.RecordEventsRequest(events=[EVENTS[0]] * 1001),
    recorded("", "u0", "i0", "LIKE"),
    recorded("e", "", "i0", "LIKE"),
    recorded("e", "u0", LONG, "LIKE"),
    recorded("e", "u0", "i0", "UNSPECIFIED"),
    recorded("e", "u0", "i0", "RATING"),
    recorded("e", "u0", "i0", "RATING", rating=NAN),
    recorded("e", "u0", "i0", "VIEW", rating=3),
    recorded("e", "u0", "i0", "VIEW", time=Timestamp(seconds=-1)),
    recorded("e", "u0", "i0", "VIEW", time=Timestamp(seconds=2**33)),
    feedback_pb.RecordEventsRequest(events=[feedback_pb.Event(type=77, rating=1)]),
    model_pb.GetModelRequest(name="other"),
    model_pb.GetModelRequest(name="films", version=2),
    model_pb.GetModelRequest(version=2),
    model_pb.GetModelRequest(name=LONG, version=-1),
    model_pb.ListModelsRequest(page_size=-1, page_token="?"),
]


async def test_every_bad_request_is_refused_to_the_letter(pair: Pair) -> None:
    for request in BAD:
        real, fake = await pair.ask(request)

        assert isinstance(real, status_pb2.Status), request
        assert fake == real, request


@pytest.mark.parametrize("kind", list(METHODS))
async def test_bytes_that_do_not_parse_are_refused_alike(pair: Pair, kind: type[Message]) -> None:
    real, fake = await pair.call(kind, b"\xff\xff\xff")

    assert isinstance(real, status_pb2.Status)
    assert fake == real


@pytest.mark.parametrize("priority", ["urgent", "BATCH", ""])
async def test_a_wrong_priority_is_refused_alike(pair: Pair, priority: str) -> None:
    request = recommend()

    real, fake = await pair.call(
        type(request), request.SerializeToString(), (("x-recserve-priority", priority),)
    )

    assert isinstance(real, status_pb2.Status)
    assert fake == real


@pytest.mark.parametrize("authorization", [None, f"Bearer {TOKEN}x", "Basic c2hvcA=="])
async def test_who_does_not_bear_the_token_is_refused_alike(
    tmp_path: Path, authorization: str | None
) -> None:
    request = recommend()
    metadata = () if authorization is None else (("authorization", authorization),)
    async with both_running(tmp_path, TOKEN) as pair:
        real, fake = await pair.call(type(request), request.SerializeToString(), metadata)

    assert isinstance(real, status_pb2.Status)
    assert fake == real


async def test_who_bears_the_token_is_answered_by_both(tmp_path: Path) -> None:
    request = recommend()
    async with both_running(tmp_path, TOKEN) as pair:
        answers = await pair.call(
            type(request), request.SerializeToString(), (("authorization", f"Bearer {TOKEN}"),)
        )

    assert [len(answer.items) for answer in answers] == [10, 10]


async def test_a_message_of_more_than_a_mebibyte_is_refused_alike(pair: Pair) -> None:
    for channel in pair:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/recserve.v1.RecommendationService/Recommend")(
                b"\0" * 1_100_000, timeout=20
            )
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
