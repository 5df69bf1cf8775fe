"""RecommendationService: validate, add recorded events, submit, encode."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import grpc

from recserve.v1 import recommendation_service_pb2 as pb
from recserve.v1 import recommendation_service_pb2_grpc as pb_grpc
from recserve_server.batching.batcher import MicroBatcher
from recserve_server.config import Limits
from recserve_server.errors import NotReady, VersionRetired
from recserve_server.events.recorded import RecordedEvents
from recserve_server.models.store import ModelStore, ModelVersion
from recserve_server.query import Query, Question, RankQuery
from recserve_server.validation.items import parse_find_similar_items, parse_rank_items
from recserve_server.validation.recommend import parse_batch_recommend, parse_recommend
from recserve_server.wire import encode_batch

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class _Addressed(Protocol):
    """A request that may name the model that must answer."""

    model: str
    model_version: int


class RecommendationService(pb_grpc.RecommendationServiceServicer):
    """Answers from whatever model serves; responses come encoded out of the batcher."""

    def __init__(
        self, store: ModelStore, limits: Limits, events: RecordedEvents | None = None
    ) -> None:
        """Takes the models, what may be asked for, and what users did lately."""
        self._store, self._limits, self._events = store, limits, events
        self._batcher: MicroBatcher[Question, bytes] | None = None

    def serve(self, batcher: MicroBatcher[Question, bytes]) -> None:
        """Starts to answer through `batcher`; before that every call is refused as NOT_READY."""
        self._batcher = batcher

    async def Recommend(  # type: ignore[override]  # encoded already
        self, request: pb.RecommendRequest, context: Context
    ) -> bytes:
        """Ranks the catalogue for one user."""
        model = self._addressed(request)
        query = parse_recommend(request, self._limits, model.schema)
        if self._events is not None:
            query = await self._events.added_to(query, context.time_remaining())
        return await self._submit(query, context)

    async def BatchRecommend(  # type: ignore[override]  # encoded already
        self, request: pb.BatchRecommendRequest, context: Context
    ) -> bytes:
        """Ranks the catalogue for several users."""
        model = self._serving()
        queries: Sequence[Query] = parse_batch_recommend(request, self._limits, model.schema)
        for each in request.requests:
            if each.model or each.model_version:
                self._addressed(each)
        if self._events is not None:
            remaining_s = context.time_remaining()
            queries = await asyncio.gather(
                *(self._events.added_to(query, remaining_s) for query in queries)
            )
        responses = await self._ready().submit_group(queries, timeout_s=context.time_remaining())
        return encode_batch(responses)

    async def FindSimilarItems(  # type: ignore[override]  # encoded already
        self, request: pb.FindSimilarItemsRequest, context: Context
    ) -> bytes:
        """Finds items like given ones."""
        model = self._addressed(request)
        query = parse_find_similar_items(request, self._limits, model.schema)
        return await self._submit(query, context)

    async def RankItems(  # type: ignore[override]  # encoded already
        self, request: pb.RankItemsRequest, context: Context
    ) -> bytes:
        """Puts given items in order for one user."""
        model = self._addressed(request)
        query: RankQuery = parse_rank_items(request, self._limits, model.schema)
        if self._events is not None:
            query = await self._events.added_to(query, context.time_remaining())
        return await self._submit(query, context)

    async def _submit(self, question: Question, context: Context) -> bytes:
        return await self._ready().submit(question, timeout_s=context.time_remaining())

    def _addressed(self, request: _Addressed) -> ModelVersion:
        model = self._serving(request.model)
        location = model.location
        if request.model_version not in (0, location.version):
            raise VersionRetired(location.name, request.model_version, location.version)
        return model

    def _serving(self, name: str = "") -> ModelVersion:
        return self._store.serving(name)

    def _ready(self) -> MicroBatcher[Question, bytes]:
        if self._batcher is None:
            raise NotReady("the model is being loaded")
        return self._batcher
