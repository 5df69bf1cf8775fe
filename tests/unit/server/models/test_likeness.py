"""Golden queries: a version is held against what was expected of it, and against who serves."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from versions_world import (
    ITEMS,
    USERS,
    Openings,
    answers,
    hash_again,
    publish,
    refused,
    scores_of,
    until,
    write_golden,
)

from recserve_server.matrix_model import MatrixModel
from recserve_server.models.golden import mean_overlap
from recserve_server.models.refusal import Refusal
from recserve_server.models.store import ModelStore

OpenStore = Callable[..., ModelStore]
LoadStore = Callable[..., Awaitable[ModelStore]]


@pytest.mark.parametrize(
    ("expected", "answered", "overlap"),
    [
        ([("a", "b")], [("b", "a")], 1.0),
        ([("a", "b")], [("a", "c")], 0.5),
        ([("a", "b"), ("c", "d")], [("a", "b"), ("x", "y")], 0.5),
        ([("a", "b", "c", "d")], [("a",)], 0.25),
        ([("a",)], [()], 0.0),
        ([("a",), ()], [("a",), ("b",)], 1.0),
        ([()], [("a",)], None),
        ([], [], None),
    ],
)
def test_overlap_is_the_mean_share_of_what_was_expected(
    expected: list[tuple[str, ...]], answered: list[tuple[str, ...]], overlap: float | None
) -> None:
    assert mean_overlap(expected, answered) == overlap


async def test_what_answers_as_expected_is_taken_and_its_overlap_told(
    tmp_path: Path, open_store: OpenStore
) -> None:
    write_golden(publish(tmp_path, 1), as_version=1)
    store = open_store()

    await store.load()

    assert store.version("films", 1).golden_overlap == 1.0
    assert store.version("films", 1).serving_overlap is None  # nobody served before


async def test_a_version_without_golden_queries_is_taken(tmp_path: Path, load: LoadStore) -> None:
    store = await load(1, min_golden_overlap=1.0, min_serving_overlap=1.0)

    publish(tmp_path, 2)
    await store.refresh()

    assert await answers(store) == 2
    assert store.version("films", 2).golden_overlap is None


def expect_of_some(folder: Path, wrong: int) -> None:
    """Has all but `wrong` of four golden queries of one item each expect what is answered."""
    write_golden(folder, as_version=int(folder.name), k=1)
    path = folder / "golden.json"
    golden = json.loads(path.read_text())
    for query in golden["queries"][:wrong]:
        query["item_ids"] = ["no-such-item"]
    path.write_text(json.dumps(golden))
    hash_again(folder)


@pytest.mark.parametrize(
    ("wrong", "exported", "least", "is_taken"),
    [
        (0, 1.0, 1.0, True),
        (1, 1.0, 0.75, True),  # just as much as is required
        (1, 1.0, 0.76, False),
        (2, 0.5, 1.0, True),  # an index that finds half of them by nature
        (3, 0.5, 1.0, False),
        (4, 1.0, 0.0, True),
    ],
)
async def test_what_is_required_is_a_share_of_what_was_found_at_export(
    tmp_path: Path,
    open_store: OpenStore,
    wrong: int,
    exported: float,
    least: float,
    is_taken: bool,
) -> None:
    publish(tmp_path, 1)
    folder = publish(tmp_path, 2)
    expect_of_some(folder, wrong)
    golden = json.loads((folder / "golden.json").read_text())
    (folder / "golden.json").write_text(json.dumps(golden | {"overlap": exported}))
    hash_again(folder)
    store = open_store(min_golden_overlap=least)

    await store.load()

    assert await answers(store) == (2 if is_taken else 1)
    assert store.version("films", 2).golden_overlap == 1 - wrong / 4
    if not is_taken:
        assert refused(store).refusal is Refusal.UNLIKE_EXPORT


async def test_a_version_too_unlike_the_one_that_serves_is_refused(
    tmp_path: Path, load: LoadStore, openings: Openings
) -> None:
    store = await load(1, min_serving_overlap=0.5)

    write_golden(publish(tmp_path, 2), as_version=2)
    await store.refresh()

    version = refused(store)
    assert version.refusal is Refusal.UNLIKE_SERVING
    assert version.serving_overlap < 0.5
    assert "of the items that version 1 answers, at least 0.5 is required" in version.state_message
    assert await answers(store) == 1
    await until(lambda: openings.open() == [1])


async def test_a_version_like_the_one_that_serves_is_taken(tmp_path: Path, load: LoadStore) -> None:
    store = await load(1, min_serving_overlap=1.0)
    folder = MatrixModel(scores_of(1)).publish(tmp_path, version=2)
    write_golden(folder, as_version=1)

    await store.refresh()

    assert store.lineup().stable.version.number == 2
    assert store.version("films", 2).serving_overlap == 1.0


async def test_what_the_serving_version_expects_is_not_asked_of_the_new_one(
    tmp_path: Path, open_store: OpenStore
) -> None:
    write_golden(publish(tmp_path, 1), as_version=1)
    store = open_store()
    await store.load()

    write_golden(publish(tmp_path, 2), as_version=2)
    await store.refresh()

    assert await answers(store) == 2
    assert store.version("films", 2).golden_overlap == 1.0
    assert store.version("films", 2).serving_overlap < 1.0


async def test_a_serving_version_that_hangs_keeps_no_new_one_out(
    tmp_path: Path, load: LoadStore
) -> None:
    store = await load(1, min_serving_overlap=1.0)
    live = store.lineup().stable
    write_golden(publish(tmp_path, 2), as_version=2)

    live.batcher.hanging = True  # as after `watchdog_s` without an answer
    await store.refresh()
    live.batcher.hanging = False

    assert await answers(store) == 2
    assert store.version("films", 2).serving_overlap is None


async def test_golden_queries_for_users_nobody_knows_are_answered_with_what_is_popular(
    tmp_path: Path, open_store: OpenStore
) -> None:
    folder = publish(tmp_path, 1)
    popular = [f"i{row}" for row in range(ITEMS - 1, ITEMS - 4, -1)]
    query = {"user_id": "nobody", "k": 3, "item_ids": popular}
    (folder / "golden.json").write_text(json.dumps({"overlap": 1.0, "queries": [query]}))
    hash_again(folder)
    store = open_store(min_golden_overlap=1.0)

    await store.load()

    assert store.version("films", 1).golden_overlap == 1.0


async def test_more_golden_queries_than_fit_into_a_batch_are_all_asked(
    tmp_path: Path, open_store: OpenStore
) -> None:
    folder = publish(tmp_path, 1)
    write_golden(folder, as_version=1)
    golden = json.loads((folder / "golden.json").read_text())
    last = golden["queries"][-1] | {"item_ids": ["no-such-item"]}
    golden["queries"] = [*(golden["queries"] * 40)[:-1], last]
    (folder / "golden.json").write_text(json.dumps(golden))
    hash_again(folder)
    store = open_store()

    await store.load()

    asked = 40 * USERS
    assert store.version("films", 1).golden_overlap == (asked - 1) / asked
