"""Right use of the SDK; a strict type checker has nothing to say."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from recserve_client import (
    AsyncRecommenderClient,
    BearerToken,
    Call,
    CallHook,
    ChannelConfig,
    Diversity,
    Event,
    EventType,
    Filter,
    HistoryEntry,
    ItemView,
    OverloadedError,
    Priority,
    Recommendation,
    RecommenderClient,
    RecommendOptions,
    TimeBudget,
    Tls,
)
from recserve_client.testing import FakeServer, Item
from recserve_client.tracing import TracingHook


def fetch() -> BearerToken:
    return BearerToken("secret", datetime.now(UTC) + timedelta(minutes=5))


class Count(CallHook):
    def __init__(self) -> None:
        self.codes: dict[str, int] = {}

    def call_ended(self, call: Call) -> None:
        self.codes[call.code] = self.codes.get(call.code, 0) + 1


def blocking() -> list[str]:
    config = ChannelConfig(tls=Tls(root_certificates=b"pem"), bearer_token=fetch)
    options: RecommendOptions = {"k": 5, "view": ItemView.FULL}
    with RecommenderClient(["10.0.0.1:1", "10.0.0.2:1"], config=config, hooks=[Count()]) as client:
        with TimeBudget(0.3) as budget:
            found = client.recommend("42", timeout_s=0.1, **options)
            left_s: float = budget.remaining_s
        client.recommend(
            history=["50", HistoryEntry("172", rating=4.5)],
            features={"age": 25, "zip": "02139"},
            filters=[Filter.any_of("genres", ["Drama"]), Filter.between("year", 1990)],
            diversity=Diversity(0.3, caps={"genres": 2}),
            strict=True,
            model_label="stable",
            priority=Priority.BATCH,
        )
        labels: tuple[str, ...] = client.get_model().labels
        client.find_similar_items("50", model_label=labels[0], priority=None)
        client.rank_items(["50"], user_id="42", model_label="canary", priority=Priority.INTERACTIVE)
        more: Recommendation = client.more(found, 10)
        client.record_events([Event("42", "50", EventType.RATING, rating=left_s)])
        try:
            many = [each.user_id for each in client.recommend_many(iter(["1"]), k=3)]
        except OverloadedError as error:
            wait_s: float | None = error.retry_after_s
            return [str(wait_s)]
        first = more.items[0]
        score: float = first.score
        return [*many, first.item_id, str(score), str(more.to_records()[0]["rank"])]


async def users() -> AsyncIterator[str]:
    yield "42"


async def through_asyncio() -> int | None:
    async with AsyncRecommenderClient("localhost:8500", hooks=[TracingHook()]) as client:
        async for each in client.recommend_many(users(), concurrency=2, on_progress=print):
            print(each.model_version)
        found = await client.recommend_batch(["1", "2"], k=5, priority=Priority.INTERACTIVE)
        return found[0].items[0].explanation is None or None


def in_tests() -> str:
    with FakeServer(items=[Item("50", "Star Wars")]) as server:
        return server.target
