"""Events over real gRPC: recorded, in effect at once, and never in the way."""

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from recserve.v1 import feedback_service_pb2 as pb
from recserve.v1 import recommendation_service_pb2 as recommendation_pb
from recserve.v1.feedback_service_pb2_grpc import FeedbackServiceStub
from recserve.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from recserve_server.config import EventsConfig, ServerConfig
from recserve_server.lifecycle import Server, StartError
from recserve_server.testing import running_server


def event(name: str, item: str, kind: str = "CLICK", **fields: object) -> pb.Event:
    return pb.Event(
        **{"event_id": name, "user_id": "u1", "item_id": item, "type": f"EVENT_TYPE_{kind}"}
        | fields
    )


@pytest.fixture
def keeping(config: ServerConfig, tmp_path: Path) -> ServerConfig:
    location = str(tmp_path / "events.sqlite")
    return dataclasses.replace(config, events=EventsConfig(location=location))


@pytest.fixture
async def channel(keeping: ServerConfig) -> AsyncIterator[grpc.aio.Channel]:
    async with (
        running_server(keeping) as server,
        grpc.aio.insecure_channel(server.address) as opened,
    ):
        yield opened


async def recommended(channel: grpc.aio.Channel, **fields: object) -> list[str]:
    request = recommendation_pb.RecommendRequest(**{"user_id": "u1", "k": 5} | fields)
    answer = await RecommendationServiceStub(channel).Recommend(request, timeout=5)
    assert not answer.is_degraded
    return [item.item_id for item in answer.items]


async def test_an_event_is_in_effect_for_the_next_recommendation(
    channel: grpc.aio.Channel,
) -> None:
    assert await recommended(channel) == ["i0", "i1", "i2", "i3", "i4"]

    answer = await FeedbackServiceStub(channel).RecordEvents(
        pb.RecordEventsRequest(events=[event("e1", "i0"), event("e2", "i2", "VIEW")]), timeout=5
    )

    assert (answer.recorded_count, answer.duplicate_count) == (2, 0)
    assert await recommended(channel) == ["i1", "i3", "i4"]
    assert await recommended(channel, include_seen=True) == ["i0", "i1", "i2", "i3", "i4"]
    assert await recommended(channel, user_id="u2") == ["i0", "i1", "i2", "i3", "i4"]


async def test_an_unknown_user_is_spared_what_was_recorded(channel: grpc.aio.Channel) -> None:
    await FeedbackServiceStub(channel).RecordEvents(
        pb.RecordEventsRequest(events=[event("e1", "i4", user_id="new")]), timeout=5
    )

    assert await recommended(channel, user_id="new") == ["i3", "i2", "i1", "i0"]


async def test_a_call_may_be_repeated(channel: grpc.aio.Channel) -> None:
    stub = FeedbackServiceStub(channel)
    request = pb.RecordEventsRequest(events=[event("e1", "i0"), event("e1", "i1")])

    first = await stub.RecordEvents(request, timeout=5)
    again = await stub.RecordEvents(request, timeout=5)

    assert (first.recorded_count, first.duplicate_count) == (1, 1)
    assert (again.recorded_count, again.duplicate_count) == (0, 2)


async def test_a_server_without_a_store_says_so(server: Server) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await FeedbackServiceStub(channel).RecordEvents(
                pb.RecordEventsRequest(events=[event("e1", "i0")]), timeout=5
            )

    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "--events" in str(caught.value.details())


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (event("", "i0"), "events[1].event_id is empty"),
        (event("e", "i0", user_id=""), "events[1].user_id is empty"),
        (event("e", "x" * 129), "events[1].item_id has 129 bytes"),
        (event("e", "i0", "UNSPECIFIED"), "events[1].type is 0"),
        (event("e", "i0", "RATING"), "events[1].rating is missing"),
        (event("e", "i0", "RATING", rating=float("inf")), "events[1].rating is inf"),
        (event("e", "i0", "VIEW", rating=3), "events[1].rating is given, must not be"),
        (event("e", "i0", time=Timestamp(seconds=-1)), "events[1].time is -1 s"),
        (event("e", "i0", time=Timestamp(seconds=2**33)), "events[1].time is 8589934592 s"),
    ],
)
async def test_a_wrong_event_is_named_and_none_is_recorded(
    channel: grpc.aio.Channel, wrong: pb.Event, told: str
) -> None:
    request = pb.RecordEventsRequest(events=[event("e1", "i0"), wrong])

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await FeedbackServiceStub(channel).RecordEvents(request, timeout=5)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert told in str(caught.value.details())
    assert await recommended(channel) == ["i0", "i1", "i2", "i3", "i4"]


@pytest.mark.parametrize(
    ("count", "accepted"), [(0, False), (1, True), (1000, True), (1001, False)]
)
async def test_a_call_takes_one_to_a_thousand_events(
    channel: grpc.aio.Channel, count: int, accepted: bool
) -> None:
    request = pb.RecordEventsRequest(events=[event(f"e{i}", "i0") for i in range(count)])
    call = FeedbackServiceStub(channel).RecordEvents(request, timeout=5)

    if accepted:
        assert (await call).recorded_count == count
        return
    with pytest.raises(grpc.aio.AioRpcError, match=f"has {count} elements, must have from 1 to"):
        await call


@pytest.mark.parametrize(
    ("location", "told"),
    [("mysql://x", "must be a path for SQLite or a URL"), ("{folder}", "cannot hold events")],
)
async def test_a_store_that_cannot_be_is_told_before_anything_listens(
    config: ServerConfig, tmp_path: Path, location: str, told: str
) -> None:
    events = EventsConfig(location=location.format(folder=tmp_path))

    with pytest.raises(StartError, match=told):
        async with running_server(dataclasses.replace(config, events=events)):
            pass
