"""Every kind of bad version: the old one stays, one line says why, and a cure is taken.

Those that need a graph of TensorFlow are in tests/integration/lifecycle/test_forbidden_graphs.py.
"""

import logging
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
from spoiled_versions import CASES, Case
from versions_world import answers, look, publish, refused, scores_of

from recserve_server.models.refusal import Refusal
from recserve_server.models.store import ModelStore, NoModelError

OpenStore = Callable[..., ModelStore]
LoadStore = Callable[..., Awaitable[ModelStore]]
LOGGER = "recserve_server.models"


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_a_bad_version_is_refused_and_told_of_once_and_the_old_one_answers(
    load: LoadStore, case: Case, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = await load(1)
    with caplog.at_level(logging.INFO, LOGGER):
        case.spoil(publish(tmp_path, 2))
        await look(store, 4)

    version = refused(store)
    assert (version.refusal, version.number) == (case.kind, 2)
    assert case.reason in version.state_message
    assert version.state_message
    assert "\n" not in version.state_message
    assert await answers(store) == 1
    assert store.is_ready
    told = [
        record
        for record in caplog.records
        if record.levelno >= logging.WARNING and record.name.startswith(LOGGER)
    ]
    assert [each.message for each in told] == ["refused a model version"]
    assert (told[0].version, told[0].kind) == (2, case.kind.value)
    assert told[0].reason == version.state_message
    assert store.stats.versions.refused["films", case.kind.value] == 1


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_a_bad_version_alone_is_nothing_to_serve(
    case: Case, tmp_path: Path, open_store: OpenStore
) -> None:
    case.spoil(publish(tmp_path, 2))

    with pytest.raises(NoModelError, match="no version of films can be served; the newest, 2: "):
        await open_store().load()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_a_bad_version_that_is_replaced_by_a_good_one_is_taken(
    case: Case, tmp_path: Path, open_store: OpenStore
) -> None:
    publish(tmp_path, 1)
    folder = publish(tmp_path, 2)
    case.spoil(folder)
    store = open_store()
    await store.load()
    assert refused(store)

    shutil.rmtree(folder)
    publish(tmp_path, 2)
    await look(store, 2)

    assert await answers(store) == 2


def test_every_kind_of_refusal_has_a_test() -> None:
    elsewhere = {Refusal.NO_MEMORY, Refusal.UNLIKE_SERVING, Refusal.FORBIDDEN_OP}

    assert {case.kind for case in CASES.values()} | elsewhere == set(Refusal)


def test_the_numbers_of_versions_up_to_23_differ() -> None:
    rankings = {np.argsort(-scores_of(each)[0], kind="stable").tobytes() for each in range(23)}

    assert len(rankings) == 23
