import asyncio

import pytest

from recserve_client import (
    AsyncRecommenderClient,
    FallbackReason,
    InvalidRequestError,
    NotFoundError,
    RecommendationSource,
)


async def test_a_known_user_gets_unseen_items_best_first(client: AsyncRecommenderClient) -> None:
    answer = await client.recommend("u0", k=3)

    assert [(item.item_id, item.title, item.score) for item in answer] == [
        ("i3", "Film 3", 3.0),
        ("i2", "Film 2", 2.0),
        ("i1", "Film 1", 1.0),
    ]
    assert answer.source is RecommendationSource.USER_ID
    assert answer.fallback_reason is None
    assert (answer.model_name, answer.model_version) == ("films", 1)


async def test_seen_items_come_back_when_asked_for(client: AsyncRecommenderClient) -> None:
    answer = await client.recommend("u0", k=1, include_seen=True)

    assert [item.item_id for item in answer] == ["i4"]


async def test_an_unknown_user_gets_popular_items_marked_as_such(
    client: AsyncRecommenderClient,
) -> None:
    answer = await client.recommend("stranger", k=2)

    assert [item.item_id for item in answer] == ["i4", "i3"]
    assert answer.source is RecommendationSource.POPULARITY
    assert answer.fallback_reason is FallbackReason.UNKNOWN_USER


async def test_a_list_is_short_rather_than_padded(client: AsyncRecommenderClient) -> None:
    assert len(await client.recommend("u0", k=50)) == 4


async def test_concurrent_callers_each_get_their_own_answer(
    client: AsyncRecommenderClient,
) -> None:
    users = ["u0", "u1", "u2", "stranger"] * 10
    wanted = [1 + position % 5 for position in range(len(users))]

    async def ask(user: str, k: int) -> list[str]:
        while True:
            try:
                return [item.item_id for item in await client.recommend(user, k=k)]
            except Exception as error:
                if getattr(error, "reason", "") != "QUEUE_FULL":
                    raise
                await asyncio.sleep(0.005)

    answers = await asyncio.gather(*map(ask, users, wanted))

    full = {
        "u0": ["i3", "i2", "i1", "i0"],
        "u1": ["i0", "i1", "i2", "i3", "i4"],
        "u2": ["i0", "i1", "i2", "i3", "i4"],
        "stranger": ["i4", "i3", "i2", "i1", "i0"],
    }
    assert answers == [full[user][:k] for user, k in zip(users, wanted, strict=True)]


async def test_every_violation_reaches_the_caller_at_once(client: AsyncRecommenderClient) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await client.recommend("", k=51)

    assert [violation.field for violation in caught.value.violations] == ["user_id", "k"]
    assert caught.value.reason == "INVALID_FIELDS"


async def test_another_models_name_is_not_found(client: AsyncRecommenderClient) -> None:
    with pytest.raises(NotFoundError) as caught:
        await client.recommend("u0", model="books")

    assert caught.value.reason == "MODEL_UNKNOWN"
