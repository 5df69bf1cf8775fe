"""The Ray Serve deployment: recserve's own service behind `@serve.batch`."""

from dataclasses import dataclass
from pathlib import Path

from ray import serve
from rival_model import RivalModel

from recserve.v1.recommendation_service_pb2 import (
    FALLBACK_REASON_UNKNOWN_USER,
    RECOMMENDATION_SOURCE_POPULARITY,
    RECOMMENDATION_SOURCE_USER_ID,
    RecommendRequest,
    RecommendResponse,
    ScoredItem,
)

_MAX_BATCH = 128


@dataclass(frozen=True)
class Settings:
    """What the sweep in the README varies."""

    model: Path
    intra_op_threads: int
    batch_wait_ms: float


@serve.deployment(max_ongoing_requests=1000, ray_actor_options={"num_cpus": 1})
class Recommender:
    """Answers recserve.v1.RecommendationService."""

    def __init__(self, settings: Settings) -> None:
        self._model = RivalModel(settings.model, settings.intra_op_threads)
        # MODELS/NAME/VERSION
        self._name, self._version = settings.model.parent.name, int(settings.model.name)
        self._answer.set_batch_wait_timeout_s(settings.batch_wait_ms / 1000)

    async def Recommend(self, request: RecommendRequest) -> RecommendResponse:  # noqa: N802
        """Ranks the catalogue for one user, best first."""
        return await self._answer(request)

    @serve.batch(max_batch_size=_MAX_BATCH)
    async def _answer(self, requests: list[RecommendRequest]) -> list[RecommendResponse]:
        rows, scores = self._model.rank(
            [request.user_id for request in requests], [request.k for request in requests]
        )
        return [
            self._response(request.user_id, *ranked)
            for request, *ranked in zip(requests, rows.tolist(), scores.tolist(), strict=True)
        ]

    def _response(self, user_id: str, rows: list[int], scores: list[float]) -> RecommendResponse:
        item_ids, titles = self._model.item_ids, self._model.titles
        personal = self._model.knows(user_id)
        return RecommendResponse(
            items=[
                ScoredItem(item_id=item_ids[row], score=score, title=titles[row])
                for row, score in zip(rows, scores, strict=True)
                if row >= 0
            ],
            source=RECOMMENDATION_SOURCE_USER_ID if personal else RECOMMENDATION_SOURCE_POPULARITY,
            fallback_reason=None if personal else FALLBACK_REASON_UNKNOWN_USER,
            model_name=self._name,
            model_version=self._version,
        )
