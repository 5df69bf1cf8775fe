"""RecommendationService: find out who answers, validate, add recorded events, submit, encode."""

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import ExitStack
from typing import Any, TypeAlias, cast

import grpc

from recserve.v1 import recommendation_service_pb2 as pb
from recserve.v1 import recommendation_service_pb2_grpc as pb_grpc
from recserve_server.calls.call import current_call
from recserve_server.config import Limits
from recserve_server.errors import ServingError
from recserve_server.events.recorded import RecordedEvents
from recserve_server.models.live import LiveModel
from recserve_server.models.store import ModelStore
from recserve_server.query import Query, Question, Schema
from recserve_server.validation.fields import Addressed
from recserve_server.validation.items import parse_find_similar_items, parse_rank_items
from recserve_server.validation.recommend import parse_batch_recommend, parse_recommend
from recserve_server.wire import encode_batch

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class RecommendationService(pb_grpc.RecommendationServiceServicer):
    """Answers from whatever models serve; responses come encoded out of their batchers.

    A call holds the version that answers it from its first look at the request to the answer, so
    that none is freed, and none takes the place of another, in between.
    """

    def __init__(
        self, store: ModelStore, limits: Limits, events: RecordedEvents | None = None
    ) -> None:
        """Takes the models, what may be asked for, and what users did lately."""
        self._store, self._limits, self._events = store, limits, events

    async def Recommend(  # type: ignore[override]  # encoded already
        self, request: pb.RecommendRequest, context: Context
    ) -> bytes:
        """Ranks the catalogue for one user."""
        with self._route(request, request.user_id) as live:
            query = parse_recommend(request, self._limits, live.schema)
            if self._events is not None:
                query = await self._events.added_to(query, context.time_remaining())
            return await _submit(live, query, context)

    async def BatchRecommend(  # type: ignore[override]  # encoded already
        self, request: pb.BatchRecommendRequest, context: Context
    ) -> bytes:
        """Ranks the catalogue for several users."""
        with ExitStack() as held:
            queries: Sequence[Query] = parse_batch_recommend(request, self._limits, self._schema)
            lives = [self._route(one, one.user_id) for one in request.requests]
            for live in set(lives):
                held.enter_context(live)
            if self._events is not None:
                remaining_s = context.time_remaining()
                queries = await asyncio.gather(
                    *(self._events.added_to(query, remaining_s) for query in queries)
                )
            return encode_batch(await _submit_to_each(lives, queries, context))

    async def FindSimilarItems(  # type: ignore[override]  # encoded already
        self, request: pb.FindSimilarItemsRequest, context: Context
    ) -> bytes:
        """Finds items like given ones."""
        with self._route(request, "") as live:
            query = parse_find_similar_items(request, self._limits, live.schema)
            return await _submit(live, query, context)

    async def RankItems(  # type: ignore[override]  # encoded already
        self, request: pb.RankItemsRequest, context: Context
    ) -> bytes:
        """Puts given items in order for one user."""
        with self._route(request, request.user_id) as live:
            query = parse_rank_items(request, self._limits, live.schema)
            if self._events is not None:
                query = await self._events.added_to(query, context.time_remaining())
            return await _submit(live, query, context)

    def _route(self, request: object, user_id: str) -> LiveModel:
        addressed = cast(Addressed, request)
        # What is too long for a name is no model's: validation will say so.
        name = addressed.model if len(addressed.model) <= self._limits.max_id_bytes else ""
        return self._store.lineup(name).route(
            addressed.model_version, addressed.model_label, user_id
        )

    def _schema(self, request: pb.RecommendRequest) -> Schema:
        """Returns what a request may name; that nobody can answer it is told after what it says."""
        try:
            return self._route(request, request.user_id).schema
        except ServingError:
            stable = self._store.lineup().stable
            return Schema() if stable is None else stable.schema


def _submit(live: LiveModel, question: Question, context: Context) -> Awaitable[bytes]:
    return live.batcher.submit(question, current_call.get().terms(context.time_remaining()))


async def _submit_to_each(
    lives: Sequence[LiveModel], queries: Sequence[Query], context: Context
) -> list[bytes]:
    """Asks each version its share of the queries; returns the answers in the queries' order."""
    terms = current_call.get().terms(context.time_remaining())
    places: dict[LiveModel, list[int]] = {}
    for place, live in enumerate(lives):
        places.setdefault(live, []).append(place)
    groups = await asyncio.gather(
        *(
            live.batcher.submit_group([queries[place] for place in of_live], terms)
            for live, of_live in places.items()
        )
    )
    answers = {
        place: answer
        for of_live, group in zip(places.values(), groups, strict=True)
        for place, answer in zip(of_live, group, strict=True)
    }
    return [answers[place] for place in range(len(queries))]
