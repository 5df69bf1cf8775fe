"""A model that breaks its contract: who is told, and what becomes of the others in the batch."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
from hostile_world import best, publish
from numpy.typing import NDArray

from recserve_client import AsyncRecommenderClient, ChannelConfig, Recommendation, ServerError
from recserve_server.config import ServerConfig
from recserve_server.matrix_model import MatrixRetriever, open_matrix
from recserve_server.model import Found
from recserve_server.testing import running_server

BROKEN_USER = 5


class BrokenRetriever(MatrixRetriever):
    """Answers one user as `spoil` says, and all others well."""

    spoil: Callable[[Found, NDArray[np.bool_]], Found] = staticmethod(lambda found, _: found)

    def retrieve(self, user_rows: NDArray[np.int32], k: int, excluded: NDArray[np.int32]) -> Found:
        return self.spoil(super().retrieve(user_rows, k, excluded), user_rows == BROKEN_USER)


class Broken:
    """A running server whose model can be broken."""

    def __init__(self) -> None:
        self.client: AsyncRecommenderClient
        self.model: BrokenRetriever

    def open(self, folder: Path) -> BrokenRetriever:
        self.model = BrokenRetriever(open_matrix(folder).scores)
        return self.model

    async def ask_all(self) -> list[Recommendation | BaseException]:
        """Asks for every user at once, the broken one last."""
        calls = [self.client.recommend(f"u{user}", k=3) for user in range(BROKEN_USER + 1)]
        return await asyncio.gather(*calls, return_exceptions=True)


@pytest.fixture
async def broken(tmp_path: Path) -> AsyncIterator[Broken]:
    server, once = Broken(), ChannelConfig(max_attempts=1)
    config = ServerConfig(models_dir=publish(tmp_path), address="127.0.0.1:0")
    async with running_server(config, server.open) as running:
        address = running.address
        async with AsyncRecommenderClient(address, config=once, timeout_s=20) as server.client:
            yield server


def with_scores(number: float) -> Callable[[Found, NDArray[np.bool_]], Found]:
    def spoil(found: Found, broken: NDArray[np.bool_]) -> Found:
        scores = found.scores.copy()
        scores[broken] = number
        return found._replace(scores=scores)

    return spoil


def with_rows(row: int) -> Callable[[Found, NDArray[np.bool_]], Found]:
    def spoil(found: Found, broken: NDArray[np.bool_]) -> Found:
        rows = found.item_rows.copy()
        rows[broken] = row
        return found._replace(item_rows=rows)

    return spoil


def raising(found: Found, broken: NDArray[np.bool_]) -> Found:
    if broken.any():
        raise RuntimeError("secret of the model")
    return found


def too_narrow(found: Found, broken: NDArray[np.bool_]) -> Found:
    if broken.any():
        return Found(found.item_rows[:, :1], found.scores[:, :1])
    return found


SPOILED = {
    "it raises": raising,
    "its scores are not numbers": with_scores(np.nan),
    "its scores are infinite": with_scores(np.inf),
    "it finds a row beyond the catalogue": with_rows(10_000),
    "it finds a row before the catalogue": with_rows(-2),
    "it finds an item again and again": with_rows(7),
    "its answer is too narrow": too_narrow,
}


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
async def test_a_broken_answer_is_told_to_its_caller_alone(
    broken: Broken, spoil: Callable[[Found, NDArray[np.bool_]], Found]
) -> None:
    broken.model.spoil = spoil

    *others, spoiled = await broken.ask_all()

    for user, answer in enumerate(others):
        assert isinstance(answer, Recommendation), answer
        assert [item.item_id for item in answer] == best(user, 3)
    assert isinstance(spoiled, ServerError)
    assert spoiled.reason == "MODEL_FAILED"
    assert "secret" not in str(spoiled)


async def test_a_model_that_is_well_again_answers_again(broken: Broken) -> None:
    broken.model.spoil = raising
    await broken.ask_all()
    broken.model.spoil = with_scores(1.0)

    assert all(isinstance(answer, Recommendation) for answer in await broken.ask_all())
