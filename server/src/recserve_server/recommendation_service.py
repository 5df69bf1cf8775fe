"""RecommendationService: validate, submit, encode."""

from typing import Any

import grpc

from recserve.v1 import recommendation_service_pb2 as pb
from recserve.v1 import recommendation_service_pb2_grpc as pb_grpc
from recserve_server.batching import MicroBatcher
from recserve_server.config import Limits
from recserve_server.errors import NotReady
from recserve_server.model import Query
from recserve_server.model_store import ModelStore
from recserve_server.validation import parse_batch_recommend, parse_recommend
from recserve_server.wire import encode_batch


class RecommendationService(pb_grpc.RecommendationServiceServicer):
    """Answers from whatever model serves; responses come encoded out of the batcher."""

    def __init__(self, store: ModelStore, limits: Limits) -> None:
        self._store, self._limits = store, limits
        self._batcher: MicroBatcher[Query, bytes] | None = None

    def serve(self, batcher: MicroBatcher[Query, bytes]) -> None:
        """Starts to answer through `batcher`; before that every call is refused as NOT_READY."""
        self._batcher = batcher

    async def Recommend(  # type: ignore[override]  # encoded already
        self, request: pb.RecommendRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> bytes:
        """Ranks the catalogue for one user."""
        query = parse_recommend(request, self._limits)
        self._store.serving(request.model)
        return await self._ready().submit(query, timeout_s=context.time_remaining())

    async def BatchRecommend(  # type: ignore[override]  # encoded already
        self, request: pb.BatchRecommendRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> bytes:
        """Ranks the catalogue for several users."""
        queries = parse_batch_recommend(request, self._limits)
        for name in {each.model for each in request.requests}:
            self._store.serving(name)
        responses = await self._ready().submit_group(queries, timeout_s=context.time_remaining())
        return encode_batch(responses)

    def _ready(self) -> MicroBatcher[Query, bytes]:
        if self._batcher is None:
            raise NotReady("the model is being loaded")
        return self._batcher
