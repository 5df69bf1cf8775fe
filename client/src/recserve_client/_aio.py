"""The client for asyncio code; the same surface as `_client.py`."""

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence
from typing import Unpack

from . import _convert, _requests
from ._aio_connected import AsyncConnectedClient
from ._aio_many import answers_in_order
from ._many import Many
from ._options import RankItemsOptions, RecommendOptions, SimilarItemsOptions
from ._questions import Event
from ._transport import methods
from ._transport.outcome import anew_if_retired
from ._types import (
    RankedItems,
    Recommendation,
    RecordedEvents,
    SimilarItems,
)


class AsyncRecommenderClient(AsyncConnectedClient):
    """Asks one server; holds one connection, may be shared by the tasks of one event loop.

    That is the loop of its first call; in another one its calls raise UnusableClientError. Use it
    in an `async with` block or await `close`. Deadlines, retries and exceptions are those of
    `RecommenderClient`.
    """

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
            NotFoundError: the server does not serve `model`, or not in `model_version` or under
                `model_label`, or nothing is known of who asks and `strict` is set.
            UnsupportedError: the model was exported without what the request needs.
            OverloadedError: the server's queue is full; wait `retry_after_s`.
        """
        request = _requests.recommend_request(user_id, options)
        metadata = _requests.call_metadata(options)
        response = await self._calls.run(methods.RECOMMEND, request, timeout_s, metadata)
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
        with anew_if_retired():
            response = await self._calls.run(methods.RECOMMEND, request, timeout_s)
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
        metadata = _requests.call_metadata(options)
        response = await self._calls.run(methods.BATCH_RECOMMEND, request, timeout_s, metadata)
        return _convert.recommendations(request, response)

    def recommend_many(
        self,
        user_ids: Iterable[str] | AsyncIterable[str],
        *,
        users_per_call: int = 128,
        concurrency: int = 4,
        timeout_s: float = 30.0,
        on_progress: Callable[[int], object] | None = None,
        **options: Unpack[RecommendOptions],
    ) -> AsyncGenerator[Recommendation, None]:
        """Ranks the catalogue for any number of users, in calls of `BatchRecommend`.

        As `RecommenderClient.recommend_many`; `user_ids` may be asynchronous too, and is closed in
        the end if it is a generator. Leave an iteration before its end by `contextlib.aclosing`, so
        that the calls under way end at once.
        """
        plan = Many(users_per_call, concurrency, timeout_s, on_progress)
        metadata = _requests.call_metadata(options)

        async def ask(users: Sequence[str]) -> tuple[Recommendation, ...]:
            request = _requests.batch_recommend_request(users, options)
            response = await self._calls.run(
                methods.BATCH_RECOMMEND, request, timeout_s, metadata, is_patient=True
            )
            return _convert.recommendations(request, response)

        return answers_in_order(ask, user_ids, plan)

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
        metadata = _requests.call_metadata(options)
        response = await self._calls.run(methods.FIND_SIMILAR_ITEMS, request, timeout_s, metadata)
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
        metadata = _requests.call_metadata(options)
        response = await self._calls.run(methods.RANK_ITEMS, request, timeout_s, metadata)
        return _convert.ranked_items(request, response)

    async def record_events(
        self, events: Sequence[Event], *, timeout_s: float | None = None
    ) -> RecordedEvents:
        """Records what users did, so that the next answers for them know of it.

        As `RecommenderClient.record_events`.
        """
        request = _requests.record_events_request(events)
        response = await self._calls.run(methods.RECORD_EVENTS, request, timeout_s)
        return _convert.recorded_events(response)
