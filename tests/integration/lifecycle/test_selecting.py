"""Which version and model answers a request: by number, by label, by share, by name."""

from collections import Counter
from dataclasses import replace

import pytest
from callers import NO_RETRIES, move_in, until
from versions_world import best, label, publish

from recserve_client import (
    AsyncRecommenderClient,
    ChannelConfig,
    InvalidRequestError,
    ModelRetiredError,
    NotFoundError,
    RecommenderError,
)
from recserve_server.config import ServerConfig, VersionPolicy
from recserve_server.lifecycle import Server
from recserve_server.models.labels import Labels, is_canary_user
from recserve_server.testing import running_server


@pytest.fixture
async def canary(server: Server, config: ServerConfig) -> Server:
    """A server of version 1 with version 2 as the canary of 10 %."""
    move_in(config.models_dir, 2)
    await label(server.store, Labels(stable=1, canary=2, canary_percent=10))
    return server


async def version_of(
    client: AsyncRecommenderClient, call: str, user: str = "u0", **options: object
) -> int:
    """Asks in one of the four ways; returns the version that answered."""
    if call == "recommend":
        return (await client.recommend(user, **options)).model_version
    if call == "recommend_batch":
        [answer] = await client.recommend_batch([user], **options)
        return answer.model_version
    if call == "rank_items":
        return (await client.rank_items(["i1"], user_id=user, **options)).model_version
    return (await client.find_similar_items(["i1"], **options)).model_version


CALLS = ("recommend", "recommend_batch", "rank_items", "find_similar_items")


@pytest.mark.parametrize("call", CALLS)
async def test_every_call_can_say_who_is_to_answer(canary: Server, call: str) -> None:
    async with AsyncRecommenderClient(canary.address, timeout_s=20.0) as client:
        asked = [
            ({"model_version": 1}, 1),
            ({"model_version": 2}, 2),
            ({"model_label": "stable"}, 1),
            ({"model_label": "canary"}, 2),
            ({"model": "films", "model_label": "canary"}, 2),
        ]
        for options, expected in asked:
            assert await version_of(client, call, **options) == expected


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("options", "error", "reason"),
    [
        ({"model_version": 9}, ModelRetiredError, "VERSION_RETIRED"),
        ({"model": "books"}, NotFoundError, "MODEL_UNKNOWN"),
        ({"model_label": "beta"}, InvalidRequestError, ""),
        ({"model_label": "stable", "model_version": 1}, InvalidRequestError, ""),
        ({"model_version": -1}, InvalidRequestError, ""),
    ],
)
async def test_who_cannot_answer_is_told_by_a_status_of_its_own(
    canary: Server, call: str, options: dict, error: type[RecommenderError], reason: str
) -> None:
    async with AsyncRecommenderClient(canary.address, config=NO_RETRIES) as client:
        with pytest.raises(error) as caught:
            await version_of(client, call, **options)

    if reason:
        assert caught.value.reason == reason


@pytest.mark.parametrize("call", CALLS)
async def test_a_label_that_no_version_has_is_unknown(server: Server, call: str) -> None:
    async with AsyncRecommenderClient(server.address, config=NO_RETRIES) as client:
        with pytest.raises(NotFoundError) as caught:
            await version_of(client, call, model_label="canary")
        assert await version_of(client, call, model_label="stable") == 1

    assert caught.value.reason == "LABEL_UNKNOWN"


@pytest.mark.parametrize("call", ["recommend", "recommend_batch", "rank_items"])
async def test_the_canarys_users_are_the_same_in_every_call(canary: Server, call: str) -> None:
    users = [f"somebody-{number}" for number in range(60)]
    async with AsyncRecommenderClient(canary.address, timeout_s=20.0) as client:
        found = {user: await version_of(client, call, user) for user in users}

    assert found == {user: 2 if is_canary_user("films", 2, user, 10) else 1 for user in users}
    assert set(found.values()) == {1, 2}


async def test_a_canary_gets_its_share_of_users(canary: Server) -> None:
    users = [f"somebody-{number}" for number in range(1280)]
    found: Counter[int] = Counter()
    async with AsyncRecommenderClient(canary.address, timeout_s=20.0) as client:
        for start in range(0, len(users), 128):
            batch = await client.recommend_batch(users[start : start + 128], k=1)
            found.update(answer.model_version for answer in batch)

    # A tenth, give or take six standard deviations; the users are always the same ones.
    assert found.total() == len(users)
    assert abs(found[2] - 128) < 6 * (1280 * 0.1 * 0.9) ** 0.5


@pytest.mark.parametrize("call", ["find_similar_items"])
async def test_who_asks_without_a_user_is_answered_by_the_stable_version(
    canary: Server, call: str
) -> None:
    await label(canary.store, Labels(stable=1, canary=2, canary_percent=100))
    async with AsyncRecommenderClient(canary.address, timeout_s=20.0) as client:
        assert await version_of(client, call) == 1
        assert (await client.recommend("u0")).model_version == 2


async def test_labels_and_share_are_told_by_the_model_service(canary: Server) -> None:
    async with AsyncRecommenderClient(canary.address) as client:
        models = {each.version: each for each in await client.list_models()}

    assert list(models[1].labels) == ["stable"]
    assert list(models[2].labels) == ["canary"]
    assert (models[1].canary_percent, models[2].canary_percent) == (0, 10)


async def test_several_models_have_versions_and_labels_of_their_own(config: ServerConfig) -> None:
    publish(config.models_dir, 3, 4, name="books")
    async with (
        running_server(replace(config, name="films,books")) as server,
        AsyncRecommenderClient(server.address, timeout_s=20.0, config=NO_RETRIES) as client,
    ):
        await label(server.store, Labels(stable=3, canary=4, canary_percent=100), "books")

        assert (await client.recommend("u1")).model_version == 1
        answer = await client.recommend("u1", model="books", k=5)
        assert (answer.model_name, answer.model_version) == ("books", 4)
        assert [item.item_id for item in answer] == best(4, 1, 5)
        assert (
            await client.recommend("u1", model="books", model_label="stable")
        ).model_version == 3
        with pytest.raises(NotFoundError):
            await client.recommend("u1", model="films", model_label="canary")


async def test_a_new_version_of_one_model_leaves_the_other_alone(config: ServerConfig) -> None:
    publish(config.models_dir, 3, name="books")
    async with running_server(replace(config, name="films,books")) as server:
        films = server.store.lineup("films").stable

        move_in(config.models_dir, 4, "books")
        await until(lambda: server.store.lineup("books").stable.version.number == 4)

        assert server.store.lineup("films").stable is films


async def test_of_several_models_one_that_is_not_ready_stands_in_nobodys_way(
    config: ServerConfig,
) -> None:
    publish(config.models_dir, 3, name="books")
    async with (
        running_server(replace(config, name="films,books")) as server,
        AsyncRecommenderClient(server.address, timeout_s=20.0, config=NO_RETRIES) as client,
    ):
        films = server.store.lineup("films")
        was, films._stable = films._stable, None  # as while frugal memory replaces it
        for call in CALLS:
            assert await version_of(client, call, model="books") == 3
        films._stable = was


async def test_the_newest_of_several_versions_answers_and_each_can_be_named(
    config: ServerConfig,
) -> None:
    publish(config.models_dir, 2, 3)
    policy = replace(config.versions, policy=VersionPolicy.parse("latest:2"))
    async with (
        running_server(replace(config, versions=policy)) as server,
        AsyncRecommenderClient(server.address, config=ChannelConfig()) as client,
    ):
        assert (await client.recommend("u0")).model_version == 3
        assert (await client.recommend("u0", model_version=2)).model_version == 2
        with pytest.raises(ModelRetiredError):
            await client.recommend("u0", model_version=1)
