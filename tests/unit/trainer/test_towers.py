import numpy as np
import pytest

from recserve_trainer.learning.towers import ItemTower, UserTower, Vocabulary

pytestmark = pytest.mark.tensorflow


def test_rows_unknown_to_training_share_the_last_entry() -> None:
    vocabulary = Vocabulary(np.array([4, 1, 4], np.int32), row_count=6)

    entries = vocabulary.lookup(np.arange(6, dtype=np.int32))

    assert len(vocabulary) == 2
    assert vocabulary.rows.tolist() == [1, 4]
    assert entries.tolist() == [2, 0, 2, 2, 1, 2]


def test_a_users_last_column_is_one_and_an_items_its_bias() -> None:
    users = np.asarray(UserTower(3, 4)(np.array([0, 2], np.int32)))
    items = np.asarray(ItemTower(3, 4)(np.array([0, 1, 2], np.int32)))

    assert users.shape == (2, 5)
    assert users[:, -1].tolist() == [1.0, 1.0]
    assert items.shape == (3, 5)
    assert items[:, -1].tolist() == [0.0, 0.0, 0.0]
