"""A version with a ScaNN index, from the trainer's command line to the caller."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from recserve_client import RecommenderClient

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow, pytest.mark.long]
pytest.importorskip("scann", reason="scann has wheels for Linux on x86-64 only")


def test_a_scann_version_serves_what_the_exact_one_does(
    train: Callable[..., object],
    serve: Callable[..., AbstractContextManager],
    tmp_path: Path,
) -> None:
    answers = []
    for index in ("exact", "scann"):
        ran = train(tmp_path / index, "--name", "films", "--seed", 5, "--index", index)
        assert ran.returncode == 0, ran.stderr
        with serve("--models", tmp_path / index) as program:
            address = program.wait_for("serving").rpartition(" ")[2]
            with RecommenderClient(address, timeout_s=20) as client:
                assert client.list_models()[0].index == index
                users = [str(user) for user in range(1, 31)]
                answers.append(client.recommend_batch(users, k=10))

    for exact, approximate in zip(*answers, strict=True):
        assert [item.item_id for item in approximate] == [item.item_id for item in exact]
        assert [item.score for item in approximate] == pytest.approx(
            [item.score for item in exact], rel=1e-5
        )
