import numpy as np

from recserve_trainer.evaluation.baselines import item_counts, popularity_scorer
from recserve_trainer.evaluation.metrics import top_k
from recserve_trainer.interactions import Interactions

# Item 1 is taken three times, item 3 once, items 0, 2 and 4 never; 4 is the end of the catalogue.
ITEM_COUNT = 5
TRAIN = Interactions(
    np.array([0, 1, 2, 2], np.int32),
    np.array([1, 1, 1, 3], np.int32),
    np.ones(4, np.float32),
    np.arange(4),
)


def test_every_item_of_the_catalogue_is_counted_also_the_last_one_that_nobody_took() -> None:
    assert item_counts(TRAIN, ITEM_COUNT).tolist() == [0, 3, 0, 1, 0]


def test_popularity_scores_are_the_same_for_every_user_asked_for() -> None:
    scores = popularity_scorer(TRAIN, ITEM_COUNT)(np.array([2, 0], np.int32))

    assert scores.dtype == np.float32
    assert scores.tolist() == [[0, 3, 0, 1, 0], [0, 3, 0, 1, 0]]


def test_popularity_ranks_the_most_taken_first_and_the_untaken_by_row() -> None:
    scores = popularity_scorer(TRAIN, ITEM_COUNT)(np.array([0], np.int32))

    assert top_k(scores, ITEM_COUNT).tolist() == [[1, 3, 0, 2, 4]]
