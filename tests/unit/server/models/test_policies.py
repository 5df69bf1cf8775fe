"""Which versions are in memory, by --versions and --memory-policy."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from versions_world import (
    Openings,
    answers,
    label,
    look,
    publish,
    refused,
    stable,
    states,
    until,
    write_golden,
)

from recserve_server.config import MemoryPolicy, VersionPolicy, VersionsConfig
from recserve_server.errors import NotReady, VersionRetired
from recserve_server.models.labels import Labels
from recserve_server.models.store import ModelStore, NoModelError
from recserve_server.models.version import State

OpenStore = Callable[..., ModelStore]
LoadStore = Callable[..., Awaitable[ModelStore]]


@pytest.mark.parametrize(
    ("policy", "loaded"),
    [
        ("latest", [5]),
        ("latest:1", [5]),
        ("latest:3", [5, 4, 3]),
        ("latest:100", [5, 4, 3, 2, 1]),
        ("specific:2", [2]),
        ("specific:2,4", [4, 2]),
        ("specific:2,9", [2]),
    ],
)
async def test_the_policy_says_what_is_loaded_the_newest_first(
    tmp_path: Path, open_store: OpenStore, openings: Openings, policy: str, loaded: list[int]
) -> None:
    publish(tmp_path, 1, 2, 3, 4, 5)
    store = open_store(policy)

    await store.load()

    assert openings.started == loaded
    assert await answers(store) == loaded[0]
    for version in range(1, 6):
        if version in loaded:
            assert await answers(store, version=version) == version
        else:
            with pytest.raises(VersionRetired):
                await answers(store, version=version)


@pytest.mark.parametrize("policy", ["latest", "latest:7", "specific:3", "specific:1,5,9"])
def test_a_policy_is_written_as_it_is_read(policy: str) -> None:
    assert str(VersionPolicy.parse(policy)) == policy


@pytest.mark.parametrize(
    "text",
    [
        "",
        "newest",
        "latest:",
        "latest:0",
        "latest:101",
        "latest:-1",
        "latest:x",
        "specific",
        "specific:",
        "specific:0",
        "specific:1,",
        "specific:1,-2",
        "latest:٣",
        "specific:²",
    ],
)
def test_a_policy_that_is_none_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be latest, latest:N .* or specific:V,V"):
        VersionPolicy.parse(text)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"poll_interval_s": -1}, "poll_interval is -1"),
        ({"poll_interval_s": float("nan")}, "poll_interval is nan"),
        ({"min_golden_overlap": 1.1}, "min_golden_overlap is 1.1"),
        ({"min_serving_overlap": -0.1}, "min_serving_overlap is -0.1"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(fields: dict[str, float], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        VersionsConfig(**fields)


async def test_of_the_newest_so_many_good_ones_are_kept_over_swaps(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1, 2, policy="latest:2")

    publish(tmp_path, 3)
    await store.refresh()
    write_golden(publish(tmp_path, 4), as_version=9)
    await store.refresh()

    await until(lambda: sorted(openings.open()) == [2, 3])
    assert await answers(store) == 3
    assert await answers(store, version=2) == 2
    assert refused(store, 4)


async def test_a_specific_version_is_taken_when_it_comes(tmp_path: Path, load: LoadStore) -> None:
    store = await load(1, policy="specific:1,3")

    publish(tmp_path, 2, 3)
    await store.refresh()

    assert await answers(store) == 3
    assert states(store)[2] is State.AVAILABLE
    assert await answers(store, version=1) == 1


async def test_a_specific_version_that_is_not_there_is_nothing_to_serve(
    tmp_path: Path, open_store: OpenStore
) -> None:
    publish(tmp_path, 1)

    with pytest.raises(NoModelError, match="none of the versions that --versions asks for"):
        await open_store("specific:9").load()


async def test_frugal_memory_never_holds_two_versions(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1, frugal=True)

    for version in range(2, 6):
        publish(tmp_path, version)
        await store.refresh()
        assert await answers(store) == version

    assert openings.most_open == 1
    assert openings.open() == [5]


async def test_frugal_memory_has_nobody_answer_meanwhile_and_says_so(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1, frugal=True)
    publish(tmp_path, 2)
    gate = openings.hold(2)

    swapping = asyncio.create_task(store.refresh())
    await until(lambda: 2 in openings.started)

    assert not store.is_ready
    with pytest.raises(NotReady):
        await answers(store)
    gate.set()
    await swapping
    assert store.is_ready


async def test_frugal_memory_waits_for_whoever_is_being_answered(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1, frugal=True)
    publish(tmp_path, 2)

    with store.lineup().route(0, "", "u0"):
        swapping = asyncio.create_task(store.refresh())
        await until(lambda: not store.is_ready)
        await asyncio.sleep(0.05)  # time in which it would be opened
        assert openings.open() == [1]
    await swapping

    assert openings.most_open == 1


async def test_frugal_memory_frees_nothing_for_a_version_whose_files_are_bad(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1, frugal=True)

    (publish(tmp_path, 2) / "users.arrow").write_bytes(b"x")
    await look(store, 3)

    assert openings.started == [1]
    assert await answers(store) == 1


async def test_frugal_memory_loads_the_old_version_again_if_the_new_one_is_refused(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1, frugal=True)

    write_golden(publish(tmp_path, 2), as_version=9)
    await look(store, 3)

    assert openings.started == [1, 2, 1]
    assert await answers(store) == 1
    assert store.lineup().previous == 0  # there is nothing to go back to


async def test_frugal_memory_keeps_a_pinned_version_beside_its_canary(
    load: LoadStore, openings: Openings
) -> None:
    store = await load(1, 2, 3, frugal=True)

    await label(store, Labels(stable=1, canary=2, canary_percent=50))

    assert sorted(openings.open()) == [1, 2]
    assert openings.most_open == 2
    assert stable(store) == 1
    assert await answers(store, label="canary") == 2


async def test_frugal_memory_keeps_specific_versions_beside_a_pin(
    load: LoadStore, openings: Openings
) -> None:
    store = await load(1, 2, 3, policy="specific:1,2,3", frugal=True)

    await label(store, Labels(stable=1))
    await look(store, 3)

    assert openings.started == [3, 2, 1]
    assert await answers(store) == 1
    assert await answers(store, version=3) == 3


async def test_a_policy_of_several_frees_the_oldest_first_where_memory_is_short(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1, 2, policy="latest:2", frugal=True)

    publish(tmp_path, 3)
    await store.refresh()

    assert openings.most_open == 2
    assert sorted(openings.open()) == [2, 3]


def test_the_memory_policies_are_named_as_the_flag_has_them() -> None:
    assert {each.value for each in MemoryPolicy} == {"availability", "frugal"}
