"""Every family from the trainer's command line to the caller, against its own SavedModel."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from recserve_client import (
    Filter,
    HistoryEntry,
    Recommendation,
    RecommendationSource,
    RecommenderClient,
)

pytestmark = [pytest.mark.tensorflow, pytest.mark.long, pytest.mark.timeout(240)]

K = 10


def top_of_the_saved_model(version_dir: Path) -> dict[str, list[tuple[str, float]]]:
    """What the signature `recommend` gives each user of the table, what they have seen excluded."""
    read = lambda name: pa.ipc.open_file(str(version_dir / name)).read_all().to_pydict()  # noqa: E731
    items, users = read("items.arrow"), read("users.arrow")
    excluded = [(row, item) for row, seen in enumerate(users["history"]) for item in seen]
    model = tf.saved_model.load(str(version_dir))
    found = model.signatures["recommend"](
        user_rows=tf.range(len(users["user_id"])),
        k=tf.constant(K),
        excluded=tf.constant(np.array(excluded, np.int32)),
    )
    return {
        user_id: [
            (items["item_id"][item], float(score))
            for item, score in zip(rows, scores, strict=True)
            if score > -np.inf
        ]
        for user_id, rows, scores in zip(
            users["user_id"], found["item_rows"].numpy(), found["scores"].numpy(), strict=True
        )
    }


@pytest.mark.parametrize("family", ["content", "history", "hybrid", "ranking"])
def test_what_is_served_is_what_the_saved_model_ranks(
    family: str,
    train: Callable[..., object],
    serve: Callable[..., AbstractContextManager],
    tmp_path: Path,
) -> None:
    ran = train(tmp_path, "--name", "films", "--model", family, "--epochs", 1)
    assert ran.returncode == 0, ran.stderr
    expected = top_of_the_saved_model(tmp_path / "films" / "1")

    with serve("--models", tmp_path) as program:
        address = program.wait_for("serving").rpartition(" ")[2]
        with RecommenderClient(address, timeout_s=20) as client:
            assert client.list_models()[0].kind == family
            answers = client.recommend_batch(list(expected), k=K)
            by_vector = client.recommend_batch(
                list(expected), k=K, filters=[Filter.none_of("genres", ["no such genre"])]
            )
            check_given_items(client, next(iter(expected)), answers[0])
            check_strangers(client, answers[0])

    for user_id, answer in zip(expected, answers, strict=True):
        assert [item.item_id for item in answer] == [item for item, _ in expected[user_id]]
        assert [item.score for item in answer] == pytest.approx(
            [score for _, score in expected[user_id]], rel=1e-5, abs=1e-6
        )
    # Searched by query vectors and ranked apart, or all in one graph: it must come to the same.
    for one, other in zip(answers, by_vector, strict=True):
        assert is_two_stages(one) == is_two_stages(other) == (family == "ranking")
        assert [item.score for item in other] == pytest.approx(
            [item.score for item in one], rel=1e-4, abs=1e-5
        )


def is_two_stages(answer: Recommendation) -> bool:
    return all(item.retrieval_score is not None for item in answer)


def check_given_items(client: RecommenderClient, user_id: str, answer: Recommendation) -> None:
    """Given items are scored as they were when the model found them itself."""
    shuffled = sorted(item.item_id for item in answer)
    ranked = client.rank_items([*shuffled, "nothing"], user_id=user_id)

    assert ranked.unknown_item_ids == ("nothing",)
    assert [item.score for item in ranked] == pytest.approx(
        [item.score for item in answer], rel=1e-4, abs=1e-5
    )
    similar = client.find_similar_items(shuffled[:2], k=K)
    assert not {item.item_id for item in similar} & set(shuffled[:2])


def check_strangers(client: RecommenderClient, answer: Recommendation) -> None:
    """A history of two items is a personal answer, and what it is made of adds up."""
    history = [HistoryEntry(item.item_id, rating=5.0) for item in list(answer)[:2]]
    told = client.recommend(history=history, k=K, explain=True)

    assert told.source is RecommendationSource.HISTORY
    assert all(item.explanation.is_exact for item in told)
    assert any(item.explanation.contributions for item in told)
