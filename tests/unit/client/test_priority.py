"""How urgent a call is goes beside its message."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from recserve_client import (
    AsyncRecommenderClient,
    Call,
    CallHook,
    InvalidRequestError,
    Priority,
    RecommenderClient,
)
from recserve_client._requests import call_metadata
from recserve_client.testing import FakeServer

KEY = "x-recserve-priority"


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    with FakeServer() as server:
        yield server


@pytest.fixture(params=["blocking", "asyncio"])
def ask(request: pytest.FixtureRequest, fake: FakeServer) -> Callable[..., object]:
    """Calls one method of either client, which may have hooks; walks what it iterates over."""

    def blocking(method: str, *args, hooks=(), **kwargs):
        with RecommenderClient(fake.target, timeout_s=30.0, hooks=hooks) as client:
            answer = getattr(client, method)(*args, **kwargs)
            return list(answer) if method == "recommend_many" else answer

    async def call(method: str, *args, hooks=(), **kwargs):
        async with AsyncRecommenderClient(fake.target, timeout_s=30.0, hooks=hooks) as client:
            answer = getattr(client, method)(*args, **kwargs)
            if method == "recommend_many":
                return [each async for each in answer]
            return await answer

    def through_asyncio(method: str, *args, **kwargs):
        return asyncio.run(call(method, *args, **kwargs))

    return blocking if request.param == "blocking" else through_asyncio


@pytest.mark.parametrize(
    ("options", "pairs"),
    [
        ({}, ()),
        ({"priority": None}, ()),
        ({"priority": Priority.BATCH}, (("x-recserve-priority", "batch"),)),
        ({"priority": "interactive", "k": 3}, (("x-recserve-priority", "interactive"),)),
    ],
)
def test_the_priority_goes_beside_the_message(options, pairs) -> None:
    assert call_metadata(options) == pairs


@pytest.mark.parametrize("priority", ["urgent", "BATCH", "", 1])
def test_another_priority_is_refused(priority) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        call_metadata({"priority": priority})

    [violation] = caught.value.violations
    assert violation.field == "priority"
    assert violation.description == f"is {priority!r}, must be one of interactive, batch"


CALLS = [
    ("recommend", "42"),
    ("recommend_batch", ["42", "7"]),
    ("recommend_many", ["42", "7"]),
    ("find_similar_items", "5"),
    ("rank_items", ["5", "6"]),
]


@pytest.mark.parametrize(("method", "subject"), CALLS)
def test_a_priority_is_sent_with_every_kind_of_question(fake, ask, method, subject) -> None:
    who = {"user_id": "42"} if method == "rank_items" else {}

    ask(method, subject, priority=Priority.BATCH, **who)

    [call] = fake.calls
    assert call.metadata[KEY] == "batch"


@pytest.mark.parametrize(("method", "subject"), CALLS)
def test_without_one_the_server_decides(fake, ask, method, subject) -> None:
    ask(method, subject, **({"user_id": "42"} if method == "rank_items" else {}))

    [call] = fake.calls
    assert KEY not in call.metadata


@pytest.mark.parametrize("method", ["recommend", "recommend_many"])
def test_a_priority_that_there_is_not_is_refused_without_a_call(fake, ask, method) -> None:
    with pytest.raises(InvalidRequestError, match="priority: is 'urgent', must be one of"):
        ask(method, "42" if method == "recommend" else ["42"], priority="urgent")

    assert fake.calls == ()


class SeePriority(CallHook):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def call_started(self, call: Call) -> None:
        self.seen.append(call.metadata[KEY])
        call.metadata["x-tenant"] = "shop"


def test_a_hook_sees_the_priority_and_may_add_to_it(fake, ask) -> None:
    hook = SeePriority()

    ask("recommend", "42", hooks=[hook], priority=Priority.INTERACTIVE)

    [call] = fake.calls
    assert hook.seen == ["interactive"]
    assert (call.metadata[KEY], call.metadata["x-tenant"]) == ("interactive", "shop")


def test_calls_under_way_together_keep_their_own_priorities(fake) -> None:
    async def both() -> None:
        async with AsyncRecommenderClient(fake.target, timeout_s=30.0) as client:
            await asyncio.gather(
                client.recommend("42", priority=Priority.BATCH), client.recommend("7")
            )

    asyncio.run(both())

    by_user = {call.request.user_id: call.metadata.get(KEY) for call in fake.calls}
    assert by_user == {"42": "batch", "7": None}
