"""Labels given to versions while they serve: pin, canary, promote, roll back, and let go again."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from versions_world import (
    USERS,
    Openings,
    answers,
    label,
    look,
    publish,
    stable,
    states,
    until,
    write_golden,
)

from recserve_server.errors import LabelUnknown, UnknownModel
from recserve_server.models.labels import Labels, is_canary_user, read_labels
from recserve_server.models.store import ModelStore, NoModelError
from recserve_server.models.version import State

SPLIT = 35.0
"""A share that some of the few users here are in and some are not."""
OpenStore = Callable[..., ModelStore]
LoadStore = Callable[..., Awaitable[ModelStore]]


@pytest.fixture
def labels_file(tmp_path: Path) -> Path:
    return tmp_path / "labels.json"


async def test_a_pinned_version_answers_and_newer_ones_are_left_alone(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1, 2)

    await label(store, Labels(stable=1))
    publish(tmp_path, 3)
    await look(store, 2)

    assert await answers(store) == 1
    assert openings.started == [2, 1]
    await label(store, Labels())
    assert await answers(store) == 3


async def test_a_canary_answers_its_users_and_nobody_else(load: LoadStore) -> None:
    store = await load(1, 2)

    await label(store, Labels(stable=1, canary=2, canary_percent=SPLIT))

    expected = {
        user: 2 if is_canary_user("films", 2, f"u{user}", SPLIT) else 1 for user in range(USERS)
    }
    assert set(expected.values()) == {1, 2}
    assert {user: await answers(store, user) for user in range(USERS)} == expected
    for user in range(USERS):
        assert await answers(store, user, label="stable") == 1
        assert await answers(store, user, label="canary") == 2
        assert await answers(store, user, version=2) == 2


async def test_who_has_no_name_gets_the_stable_version(load: LoadStore) -> None:
    store = await load(1, 2)

    await label(store, Labels(stable=1, canary=2, canary_percent=100))

    assert store.lineup().route(0, "", "").version.number == 1
    assert store.lineup().route(0, "", "u0").version.number == 2


async def test_without_a_canary_nobody_may_ask_for_it(load: LoadStore) -> None:
    store = await load(1, 2)
    await label(store, Labels(stable=1, canary=2, canary_percent=1))
    await label(store, Labels(stable=2, previous=1))

    with pytest.raises(LabelUnknown, match="no version of model 'films' is labelled 'canary'"):
        await answers(store, label="canary")


async def test_what_each_version_is_to_callers_is_listed(load: LoadStore) -> None:
    store = await load(1, 2, 3)

    await label(store, Labels(stable=1, canary=2, canary_percent=5))

    labels = {each.number: store.labels_of(each) for each in store.versions()}
    assert labels == {3: [], 2: ["canary"], 1: ["stable"]}
    assert store.canary_percent(store.version("films", 2)) == 5
    assert states(store) == {1: State.SERVING, 2: State.SERVING, 3: State.AVAILABLE}


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (Labels(stable=9), "there is no version 9 of films, only 1, 2, 3"),
        (Labels(stable=3), "version 3 of films was refused: it answers 0.000 of the items"),
        (Labels(stable=2, canary=3), "version 3 of films was refused"),
    ],
)
async def test_a_label_for_what_cannot_be_loaded_changes_nothing(
    tmp_path: Path, open_store: OpenStore, labels_file: Path, labels: Labels, reason: str
) -> None:
    publish(tmp_path, 1, 2)
    write_golden(publish(tmp_path, 3), as_version=23, k=1)
    store = open_store(labels_file=labels_file)
    await store.load()
    assert await answers(store) == 2

    with pytest.raises(ValueError, match=reason):
        await label(store, labels)

    assert await answers(store) == 2
    assert store.lineup().labels == Labels()
    assert not labels_file.exists()


async def test_a_label_for_a_model_that_is_not_served_is_refused(load: LoadStore) -> None:
    store = await load(1)

    with pytest.raises(UnknownModel):
        await label(store, Labels(stable=1), "books")


async def test_labels_are_kept_over_a_restart(
    tmp_path: Path, open_store: OpenStore, labels_file: Path
) -> None:
    publish(tmp_path, 1, 2, 3)
    labels = Labels(stable=1, canary=2, canary_percent=12.5, previous=3)
    first = open_store(labels_file=labels_file)
    await first.load()
    await label(first, labels)

    second = open_store(labels_file=labels_file)
    await second.load()

    assert second.lineup().labels == labels
    assert await answers(second, label="canary") == 2
    assert stable(second) == 1


async def test_labels_that_cannot_be_kept_are_not_given(tmp_path: Path, load: LoadStore) -> None:
    store = await load(1, 2, labels_file=tmp_path / "nowhere" / "labels.json")

    with pytest.raises(ValueError, match=r"labels cannot be kept in .*: No such file"):
        await label(store, Labels(stable=1))

    assert await answers(store) == 2
    assert store.lineup().labels == Labels()


async def test_a_pin_of_one_model_keeps_the_labels_of_those_served_elsewhere(
    tmp_path: Path, open_store: OpenStore, labels_file: Path
) -> None:
    for name in ("books", "films"):
        publish(tmp_path, 1, 2, name=name)
    labels_file.write_text(json.dumps({"books": {"stable": 1}}))
    store = open_store(name="films", labels_file=labels_file)
    await store.load()

    await label(store, Labels(stable=2))

    assert read_labels(labels_file) == {"books": Labels(stable=1), "films": Labels(stable=2)}


async def test_a_pinned_version_that_is_bad_at_start_is_no_matter_for_another(
    tmp_path: Path, open_store: OpenStore, labels_file: Path
) -> None:
    publish(tmp_path, 1, 2)
    write_golden(publish(tmp_path, 3), as_version=23, k=1)
    labels_file.write_text(json.dumps({"films": {"stable": 3}}))

    with pytest.raises(NoModelError, match=r"version 3 of films was refused: .* labels file wants"):
        await open_store(labels_file=labels_file).load()


async def test_a_canary_never_stands_in_for_the_stable_version(
    tmp_path: Path, open_store: OpenStore, labels_file: Path
) -> None:
    publish(tmp_path, 1, 2)
    write_golden(publish(tmp_path, 3), as_version=23, k=1)
    given = {"stable": 3, "canary": 2, "canary_percent": 5}
    labels_file.write_text(json.dumps({"films": given}))

    with pytest.raises(NoModelError, match="version 3 of films was refused"):
        await open_store(labels_file=labels_file).load()


async def test_a_canary_that_is_bad_at_start_has_no_users(
    tmp_path: Path, open_store: OpenStore, labels_file: Path
) -> None:
    publish(tmp_path, 1, 2)
    write_golden(publish(tmp_path, 3), as_version=23, k=1)
    given = {"stable": 1, "canary": 3, "canary_percent": 100}
    labels_file.write_text(json.dumps({"films": given}))
    store = open_store(labels_file=labels_file)

    await store.load()

    assert {await answers(store, user) for user in range(USERS)} == {1}
    with pytest.raises(LabelUnknown):
        await answers(store, label="canary")


async def test_two_pins_at_a_time_come_one_after_the_other(
    load: LoadStore, openings: Openings, labels_file: Path
) -> None:
    store = await load(1, 2, 3, labels_file=labels_file)
    gate = openings.hold(1)

    first = asyncio.create_task(label(store, Labels(stable=1)))
    await until(lambda: 1 in openings.started)
    second = asyncio.create_task(label(store, Labels(stable=2)))
    await asyncio.sleep(0.05)
    gate.set()
    await asyncio.gather(first, second)

    assert await answers(store) == 2
    assert read_labels(labels_file) == {"films": Labels(stable=2)}
    await until(lambda: openings.open() == [2])


async def test_a_pin_that_fails_leaves_the_one_that_came_meanwhile(
    tmp_path: Path, open_store: OpenStore, openings: Openings
) -> None:
    publish(tmp_path, 1, 2)
    write_golden(publish(tmp_path, 3), as_version=23, k=1)
    store = open_store()
    await store.load()
    gate = openings.hold(3)

    failing = asyncio.create_task(label(store, Labels(stable=3)))
    await until(lambda: openings.started.count(3) == 2)
    pinning = asyncio.create_task(label(store, Labels(stable=1)))
    await asyncio.sleep(0.05)
    gate.set()

    with pytest.raises(ValueError, match="version 3 of films was refused: it answers"):
        await failing
    await pinning
    assert await answers(store) == 1
    assert store.lineup().labels == Labels(stable=1)


async def test_the_version_before_is_what_a_rollback_returns_to(
    tmp_path: Path, load: LoadStore
) -> None:
    store = await load(1)
    assert store.lineup().previous == 0

    publish(tmp_path, 2, 3)
    await store.refresh()
    assert store.lineup().previous == 1  # which was stable; 2 never was

    await label(store, Labels(stable=1, previous=3))
    assert store.lineup().previous == 3
