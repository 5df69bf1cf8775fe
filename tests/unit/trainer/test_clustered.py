import numpy as np
import pytest

from recserve_trainer.datasets import clustered
from recserve_trainer.datasets.clustered import clustered_vectors


def test_equal_arguments_give_equal_vectors_and_others_others() -> None:
    one, again = (clustered_vectors(50, 6, seed=1) for _ in range(2))

    assert (one.shape, one.dtype) == ((50, 6), np.float32)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, clustered_vectors(50, 6, seed=2))
    assert not np.array_equal(one, clustered_vectors(50, 6, seed=1, part=1))


def test_parts_of_a_seed_share_their_centres_and_stay_near_them() -> None:
    items, users = (clustered_vectors(400, 64, seed=1, part=part, clusters=3) for part in (0, 1))

    to_items = np.linalg.norm(users[:, None] - items[None], axis=2)
    # Within a cluster two vectors are 0.8 * sqrt(2) = 1.13 apart, between two of them 1.8.
    assert (to_items.min(axis=1) < 1.4).all()
    assert 0.2 < (to_items < 1.4).mean() < 0.5


@pytest.mark.parametrize("count", [0, 1, 7, 8, 20])
def test_fewer_vectors_are_the_first_of_more(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(clustered, "_ROWS_PER_CHUNK", 8)

    fewer, more = clustered_vectors(count, 4, seed=3), clustered_vectors(29, 4, seed=3)

    assert np.array_equal(fewer, more[:count])
    assert len(np.unique(more, axis=0)) == 29
