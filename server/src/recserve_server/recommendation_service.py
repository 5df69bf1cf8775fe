"""RecommendationService: validate, submit, convert."""

from typing import Any

import grpc

from recserve.v1 import recommendation_service_pb2 as pb
from recserve.v1 import recommendation_service_pb2_grpc as pb_grpc
from recserve_server.batching import MicroBatcher
from recserve_server.config import Limits
from recserve_server.errors import NotReady
from recserve_server.model import Query, Ranking, Source
from recserve_server.model_store import ModelStore
from recserve_server.validation import parse_recommend

_SOURCES = {
    Source.USER_ID: pb.RECOMMENDATION_SOURCE_USER_ID,
    Source.POPULARITY: pb.RECOMMENDATION_SOURCE_POPULARITY,
}


class RecommendationService(pb_grpc.RecommendationServiceServicer):
    """Answers from whatever model serves."""

    def __init__(self, store: ModelStore, limits: Limits) -> None:
        self._store, self._limits = store, limits
        self._batcher: MicroBatcher[Query, Ranking] | None = None

    def serve(self, batcher: MicroBatcher[Query, Ranking]) -> None:
        """Starts to answer through `batcher`; before that every call is refused as NOT_READY."""
        self._batcher = batcher

    async def Recommend(
        self, request: pb.RecommendRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.RecommendResponse:
        """Ranks the catalogue for one user."""
        query = parse_recommend(request, self._limits)
        self._store.serving(request.model)
        if self._batcher is None:
            raise NotReady("the model is being loaded")
        ranking = await self._batcher.submit(query, timeout_s=context.time_remaining())
        return to_response(ranking)


def to_response(ranking: Ranking) -> pb.RecommendResponse:
    """Converts a ranking to its message."""
    items = zip(ranking.item_ids, ranking.scores, ranking.titles, strict=True)
    popular = ranking.source is Source.POPULARITY
    return pb.RecommendResponse(
        items=[
            pb.ScoredItem(item_id=item_id, score=score, title=title)
            for item_id, score, title in items
        ],
        source=_SOURCES[ranking.source],
        fallback_reason=pb.FALLBACK_REASON_UNKNOWN_USER
        if popular
        else pb.FALLBACK_REASON_UNSPECIFIED,
        model_name=ranking.model_name,
        model_version=ranking.model_version,
    )
