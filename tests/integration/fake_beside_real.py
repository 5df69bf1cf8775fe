"""Both servers, the real one and the fake of recserve_client.testing, with the same catalogue."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

import grpc
import numpy as np
from google.protobuf.message import Message
from google.rpc import status_pb2

from recserve.v1 import feedback_service_pb2 as feedback_pb
from recserve.v1 import model_service_pb2 as model_pb
from recserve.v1 import recommendation_service_pb2 as pb
from recserve_client.testing import FakeServer, Item
from recserve_server.config import AccessConfig, EventsConfig, ServerConfig
from recserve_server.matrix_model import MatrixModel
from recserve_server.testing import running_server

USERS, ITEMS = 4, 30
GENRES = ("Comedy", "Drama", "Horror", "War")
HISTORIES = ([], [3], [0, 7], [1, 2, 29])
ATTRIBUTES = {
    "genres": [[name for at, name in enumerate(GENRES) if row >> at & 1] for row in range(ITEMS)],
    "studio": [("A", "B", None)[row % 3] for row in range(ITEMS)],
    "year": [float(1980 + row) if row % 7 else None for row in range(ITEMS)],
}
METHODS = {
    pb.RecommendRequest: ("Recommend", pb.RecommendResponse),
    pb.BatchRecommendRequest: ("BatchRecommend", pb.BatchRecommendResponse),
    pb.FindSimilarItemsRequest: ("FindSimilarItems", pb.FindSimilarItemsResponse),
    pb.RankItemsRequest: ("RankItems", pb.RankItemsResponse),
    feedback_pb.RecordEventsRequest: ("RecordEvents", feedback_pb.RecordEventsResponse),
    model_pb.GetModelRequest: ("GetModel", model_pb.GetModelResponse),
    model_pb.ListModelsRequest: ("ListModels", model_pb.ListModelsResponse),
}


def matrix_model() -> MatrixModel:
    random = np.random.default_rng(0)
    return MatrixModel(
        random.uniform(-5, 5, (USERS, ITEMS)).astype(np.float32),
        histories=HISTORIES,
        # Above 0, so that every item of a history speaks for every other.
        item_item=random.uniform(1, 3, (ITEMS, ITEMS)).astype(np.float32),
        age_scores=random.uniform(-3, 3, ITEMS).astype(np.float32),
        attributes=ATTRIBUTES,
        percentiles=[(0, -50.0), (100, 50.0)],
    )


def fake_server(token: str | None = None) -> FakeServer:
    items = [
        Item(
            f"i{row}",
            f"Film {row}",
            **{name: values[row] for name, values in ATTRIBUTES.items() if values[row] is not None},
        )
        for row in range(ITEMS)
    ]
    users = {f"u{row}": [f"i{each}" for each in HISTORIES[row]] for row in range(USERS)}
    return FakeServer(items, users, required_token=token)


Metadata: TypeAlias = tuple[tuple[str, str], ...]


class Pair(NamedTuple):
    """Connections to both servers."""

    real: grpc.aio.Channel
    fake: grpc.aio.Channel

    async def ask(self, request: Message) -> tuple[Message, Message]:
        """Returns both answers; a refusal is its google.rpc.Status."""
        return await self.call(type(request), request.SerializeToString())

    async def call(
        self, kind: type[Message], encoded: bytes, metadata: Metadata = ()
    ) -> tuple[Message, Message]:
        answers = (_answer(each, kind, encoded, metadata) for each in self)
        real, fake = await asyncio.gather(*answers)
        return real, fake


async def _answer(
    channel: grpc.aio.Channel, kind: type[Message], encoded: bytes, metadata: Metadata
) -> Message:
    name, response = METHODS[kind]
    service = next(
        each.full_name
        for each in kind.DESCRIPTOR.file.services_by_name.values()
        if name in each.methods_by_name
    )
    call = channel.unary_unary(f"/{service}/{name}")(encoded, timeout=20, metadata=metadata)
    try:
        return response.FromString(await call)
    except grpc.aio.AioRpcError as error:
        return _status(error)


def _status(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    trailers = dict(error.trailing_metadata())
    assert trailers["x-request-id"]
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    assert (status.code, status.message) == (error.code().value[0], error.details())
    return status


@asynccontextmanager
async def both_running(tmp_path: Path, token: str | None = None) -> AsyncIterator[Pair]:
    """Runs both; with a token, only for who bears it."""
    matrix_model().publish(tmp_path / "models")
    callers = tmp_path / "callers.toml"
    if token is not None:
        callers.write_text(f'[[caller]]\nname = "shop"\ntoken = "{token}"\nmay = ["recommend"]\n')
        callers.chmod(0o600)
    config = ServerConfig(
        models_dir=tmp_path / "models",
        address="127.0.0.1:0",
        # As patient as can be: an answer without events would be another one.
        events=EventsConfig(location=str(tmp_path / "events.sqlite"), read_timeout_ms=60_000),
        access=AccessConfig(callers_file=None if token is None else callers),
    )
    with fake_server(token) as fake:
        async with (
            running_server(config) as real,
            grpc.aio.insecure_channel(real.address) as to_real,
            grpc.aio.insecure_channel(fake.target) as to_fake,
        ):
            yield Pair(to_real, to_fake)


def event(name: str, user: str, item: str, kind: str, **fields: object) -> feedback_pb.Event:
    return feedback_pb.Event(
        event_id=name, user_id=user, item_id=item, type=f"EVENT_TYPE_{kind}", **fields
    )


EVENTS = [
    event("e1", "u1", "i5", "CLICK"),
    event("e2", "u1", "i6", "VIEW"),
    event("e3", "u2", "no such item", "LIKE"),
    event("e4", "liker", "i3", "RATING", rating=4),
    event("e5", "viewer", "i2", "VIEW"),
    event("e1", "u1", "i5", "CLICK"),
]
