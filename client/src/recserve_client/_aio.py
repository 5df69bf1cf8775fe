"""The client for asyncio code; the same surface as `_client.py`."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self, Unpack

from grpc import aio

from recserve.v1.feedback_service_pb2_grpc import FeedbackServiceStub
from recserve.v1.model_service_pb2_grpc import ModelServiceStub
from recserve.v1.recommendation_service_pb2_grpc import RecommendationServiceStub

from . import _calls, _convert, _requests
from ._channel import ChannelConfig, checked_target, open_aio_channel
from ._encode import filled
from ._errors import NotFoundError
from ._options import RankItemsOptions, RecommendOptions, SimilarItemsOptions
from ._questions import Event
from ._types import (
    HealthStatus,
    ModelVersion,
    RankedItems,
    Recommendation,
    RecordedEvents,
    SimilarItems,
)


class _Connection:
    """A channel and its stubs."""

    def __init__(self, channel: aio.Channel) -> None:
        self.channel = channel
        self.recommendations = RecommendationServiceStub(channel)
        self.models = ModelServiceStub(channel)
        self.feedback = FeedbackServiceStub(channel)


class AsyncRecommenderClient:
    """Asks one server; holds one connection, may be shared by the tasks of one event loop.

    Use it in an `async with` block or await `close`. Deadlines, retries and exceptions are those
    of `RecommenderClient`.
    """

    def __init__(
        self, target: str, *, config: ChannelConfig | None = None, timeout_s: float = 2.0
    ) -> None:
        """Prepares the connection, which is made at the first call; needs no running loop.

        Args:
            target: "host:port" or any gRPC name, such as "dns:///host:port" or "unix:/path".
            config: Message sizes, retries and credentials; None means the defaults.
            timeout_s: Seconds that a call may take, retries included, unless it says otherwise.

        Raises:
            ValueError: `target` or `timeout_s` is out of range.
        """
        self._timeout_s = _calls.checked_timeout_s(timeout_s)
        self._target = checked_target(target)
        self._config = config or ChannelConfig()
        self._opened: _Connection | None = None
        self._guard = _calls.CallGuard()

    async def recommend(
        self,
        user_id: str = "",
        *,
        timeout_s: float | None = None,
        **options: Unpack[RecommendOptions],
    ) -> Recommendation:
        """Ranks the catalogue for one user, best first.

        A user of whom the model knows nothing is a normal answer: the most popular items, with
        `fallback_reason` set; `strict` makes it an error.

        Args:
            user_id: The user as named in the training interactions; 1 to 128 bytes of UTF-8. May
                be left out if a history or features say who asks.
            timeout_s: Seconds that the call may take; None means the client's default.
            **options: The rest of the question, as in `RecommendOptions`: `k=5`.

        Raises:
            NotFoundError: the server does not serve `model`, or not in `model_version`, or nothing
                is known of who asks and `strict` is set.
            UnsupportedError: the model was exported without what the request needs.
            OverloadedError: the server's queue is full; wait `retry_after_s`.
        """
        request = _requests.recommend_request(user_id, options)
        limit_s = self._limit_s(timeout_s)
        with self._guard.translated_errors():
            response = await self._connection().recommendations.Recommend(request, timeout=limit_s)
        return _convert.recommendation(request, response)

    async def more(
        self,
        recommendation: Recommendation,
        k: int | None = None,
        *,
        timeout_s: float | None = None,
    ) -> Recommendation:
        """Continues a list: what comes after a recommendation, from the same model version.

        As `RecommenderClient.more`.
        """
        request = _requests.more_request(recommendation, k)
        limit_s = self._limit_s(timeout_s)
        with _calls.anew_if_retired(), self._guard.translated_errors():
            response = await self._connection().recommendations.Recommend(request, timeout=limit_s)
        return _convert.recommendation(request, response)

    async def recommend_batch(
        self,
        user_ids: Sequence[str],
        *,
        timeout_s: float | None = None,
        **options: Unpack[RecommendOptions],
    ) -> tuple[Recommendation, ...]:
        """Ranks the catalogue for several users in one call, for offline jobs.

        All users are answered or none is.

        Args:
            user_ids: The users, each as for `recommend`; from 1 to 256, which may repeat.
            timeout_s: Seconds that the call may take; None means the client's default.
            **options: The rest of the question, the same for all users, as in `RecommendOptions`.

        Returns:
            One recommendation per user, in the order of `user_ids`.

        Raises:
            InvalidRequestError: an argument is wrong; the place is as in "requests[3].user_id".
            OverloadedError: the server's queue is full; wait `retry_after_s`. Without one, the
                users or all answers together are larger than `ChannelConfig` lets through.
            ServerError: the server failed, or gave more or fewer answers than users.
            RecommenderError: what else `recommend` raises.
        """
        request = _requests.batch_recommend_request(user_ids, options)
        limit_s = self._limit_s(timeout_s)
        with self._guard.translated_errors():
            response = await self._connection().recommendations.BatchRecommend(
                request, timeout=limit_s
            )
        return _convert.recommendations(request, response)

    async def find_similar_items(
        self,
        item_ids: str | Sequence[str],
        *,
        timeout_s: float | None = None,
        **options: Unpack[SimilarItemsOptions],
    ) -> SimilarItems:
        """Finds the items that users like in the same way as the given ones, most similar first.

        Besides the errors of `recommend`, NotFoundError says that the model knows none of them.

        Args:
            item_ids: One item, or from 1 to 100; those that the model does not know are passed
                over and counted.
            timeout_s: Seconds that the call may take; None means the client's default.
            **options: The rest of the question, as in `SimilarItemsOptions`: `k=5`.
        """
        request = _requests.similar_items_request(item_ids, options)
        limit_s = self._limit_s(timeout_s)
        with self._guard.translated_errors():
            response = await self._connection().recommendations.FindSimilarItems(
                request, timeout=limit_s
            )
        return _convert.similar_items(request, response)

    async def rank_items(
        self,
        item_ids: Sequence[str],
        *,
        user_id: str = "",
        timeout_s: float | None = None,
        **options: Unpack[RankItemsOptions],
    ) -> RankedItems:
        """Puts given items in order for one user, best first; errors are those of `recommend`.

        Args:
            item_ids: From 1 to 1000 different items; those that the model does not know are left
                out and named in the answer.
            user_id: The user, as for `recommend`.
            timeout_s: Seconds that the call may take; None means the client's default.
            **options: The rest of the question, as in `RankItemsOptions`: `explain=True`.
        """
        request = _requests.rank_items_request(item_ids, user_id, options)
        limit_s = self._limit_s(timeout_s)
        with self._guard.translated_errors():
            response = await self._connection().recommendations.RankItems(request, timeout=limit_s)
        return _convert.ranked_items(request, response)

    async def record_events(
        self, events: Sequence[Event], *, timeout_s: float | None = None
    ) -> RecordedEvents:
        """Records what users did, so that the next answers for them know of it.

        As `RecommenderClient.record_events`.
        """
        request = _requests.record_events_request(events)
        limit_s = self._limit_s(timeout_s)
        with self._guard.translated_errors():
            response = await self._connection().feedback.RecordEvents(request, timeout=limit_s)
        return _convert.recorded_events(response)

    async def get_model(
        self, name: str = "", version: int = 0, *, timeout_s: float | None = None
    ) -> ModelVersion:
        """Describes one model version.

        Args:
            name: Name of the model; empty means the one that the server serves.
            version: Version of the model; 0 means the one that is serving.
            timeout_s: Seconds that the call may take; None means the client's default.

        Raises:
            NotFoundError: the server has no such model version.
        """
        request = _requests.get_model_request(name, version)
        limit_s = self._limit_s(timeout_s)
        with self._guard.translated_errors():
            response = await self._connection().models.GetModel(request, timeout=limit_s)
        return _convert.model_version(response.model)

    async def list_models(self, *, timeout_s: float | None = None) -> tuple[ModelVersion, ...]:
        """Lists the model versions that the server found, by name, newest version first.

        Args:
            timeout_s: Seconds that all pages together may take; None means the client's default.
        """
        walk = _calls.ModelWalk(self._limit_s(timeout_s))
        while (request := walk.next_request()) is not None:
            with self._guard.translated_errors():
                page = await self._connection().models.ListModels(
                    request, timeout=walk.remaining_s()
                )
                walk.add(page)
        return walk.models

    async def check_health(
        self, service: str = "", *, timeout_s: float | None = None
    ) -> HealthStatus:
        """Asks whether the server accepts calls.

        Args:
            service: Full name of one service, e.g. "recserve.v1.RecommendationService"; empty
                means the server as a whole.
            timeout_s: Seconds that the call may take; None means the client's default.
        """
        # Imported here because few programs ask.
        from grpc_health.v1 import health_pb2

        request = filled(health_pb2.HealthCheckRequest(), service=service)
        limit_s = self._limit_s(timeout_s)
        try:
            with self._guard.translated_errors():
                check = self._connection().channel.unary_unary(
                    _calls.HEALTH_CHECK_METHOD,
                    request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                    response_deserializer=health_pb2.HealthCheckResponse.FromString,
                )
                response = await check(request, timeout=limit_s)
        except NotFoundError:
            return HealthStatus.SERVICE_UNKNOWN
        return _convert.health_status(response.status)

    async def close(self) -> None:
        """Closes the connection; calls under way fail. Closing twice does nothing."""
        self._guard.closed = True
        if self._opened is not None:
            await self._opened.channel.close()

    async def __aenter__(self) -> Self:
        """Returns the client itself."""
        return self

    async def __aexit__(
        self,
        error_class: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes the client."""
        await self.close()

    def _connection(self) -> _Connection:
        # A channel belongs to the loop it was opened in, which only a call can know.
        if self._opened is None:
            self._opened = _Connection(open_aio_channel(self._target, self._config))
        return self._opened

    def _limit_s(self, timeout_s: float | None) -> float:
        return self._timeout_s if timeout_s is None else _calls.checked_timeout_s(timeout_s)
