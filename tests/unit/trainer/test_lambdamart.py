"""The trees learn an order, each user's from the lists of others."""

import numpy as np
import pytest
import tensorflow as tf
from worlds import make_world

from recserve_trainer.fit_configs import RankingConfig
from recserve_trainer.learning.lambdamart import (
    FittedForests,
    LambdaMartRanker,
    fit_forests,
    importances,
)
from recserve_trainer.learning.ranking_lists import RankingLists
from recserve_trainer.learning.ranking_tables import build_tables
from recserve_trainer.retrieval import Embeddings

pytestmark = pytest.mark.tensorflow


DATASET, SPLIT = make_world()
USERS, ITEMS, LENGTH = len(DATASET.users), len(DATASET.items), 12
RANDOM = np.random.default_rng(4)
EMBEDDINGS = Embeddings(
    RANDOM.normal(size=(USERS, 3)).astype(np.float32),
    RANDOM.normal(size=(ITEMS, 3)).astype(np.float32),
)
TABLES = build_tables(DATASET, SPLIT.train, EMBEDDINGS, 20)
EVERYBODY = np.arange(USERS, dtype=np.int32)


def draw_lists(users: np.ndarray = EVERYBODY) -> RankingLists:
    """What is wanted is what is of the user's taste, in the first feature after retrieval."""
    items = np.stack([RANDOM.choice(ITEMS, LENGTH, replace=False) for _ in users])
    items = np.sort(items, axis=1).astype(np.int32)
    labels = (items % 2 == users[:, None] % 2).astype(np.int8)
    labels[:, 0] = 1
    scores = np.take_along_axis(EMBEDDINGS.score(users), items, axis=1)
    return RankingLists(users, items, scores, TABLES.compute(users, items), labels)


CONFIG = RankingConfig(trees=10, leaf_rows=5, threads=1)
LISTS = RankingLists.joined([draw_lists() for _ in range(4)])
FITTED = fit_forests(LISTS, CONFIG)
RANKER = LambdaMartRanker(TABLES, FITTED, 20)


def ask(ranker: LambdaMartRanker, lists: RankingLists, scores: np.ndarray) -> np.ndarray:
    arguments = (lists.user_rows, lists.item_rows, scores)
    return tf.function(ranker.rank)(*map(tf.constant, arguments)).numpy()


def test_the_graph_scores_as_the_oracle_does() -> None:
    lists = draw_lists()
    scores = lists.retrieval_scores.copy()
    scores[::3, ::4] = -np.inf

    found = ask(RANKER, lists, scores)

    assert np.isfinite(found).all()
    assert found == pytest.approx(RANKER.oracle(lists.user_rows, lists.item_rows, scores), abs=1e-5)


def test_what_is_wanted_comes_to_stand_before_what_is_not() -> None:
    lists = draw_lists()

    found = ask(RANKER, lists, lists.retrieval_scores)

    wanted, others = found[lists.labels == 1].mean(), found[lists.labels == 0].mean()
    assert wanted > others + 1
    gains = importances(FITTED, TABLES.names)
    assert max(gains, key=lambda name: gains[name]) in ("kind_taste", "taste_lift")


def test_no_forest_has_seen_the_lists_of_the_users_it_ranks() -> None:
    is_mine = LISTS.user_rows % CONFIG.groups == 1
    turned = np.where(is_mine[:, None], 1 - LISTS.labels, LISTS.labels)
    others = RankingLists(
        LISTS.user_rows, LISTS.item_rows, LISTS.retrieval_scores, LISTS.features, turned
    )

    again = fit_forests(others, CONFIG)

    def trees(fitted: FittedForests, group: int) -> str:
        text = fitted.boosters[group].model_to_string()
        return text[text.index("Tree=0") : text.index("end of trees")]

    assert trees(again, 1) == trees(FITTED, 1)
    assert trees(again, 0) != trees(FITTED, 0)


def test_trees_and_retrieval_are_weighed_by_their_deviations() -> None:
    of_trees = fit_forests(LISTS, RankingConfig(trees=10, leaf_rows=5, threads=1, blend_weight=0))
    heavy = fit_forests(LISTS, RankingConfig(trees=10, leaf_rows=5, threads=1, blend_weight=1000))
    lists = draw_lists()

    trees_alone = ask(LambdaMartRanker(TABLES, of_trees, 20), lists, lists.retrieval_scores)
    retrieval = ask(LambdaMartRanker(TABLES, heavy, 20), lists, lists.retrieval_scores)

    assert trees_alone.std() == pytest.approx(1, abs=0.25)
    assert (np.argsort(retrieval) == np.argsort(lists.retrieval_scores)).mean() > 0.95


def test_a_score_does_not_depend_on_the_rest_of_the_list() -> None:
    lists = draw_lists()
    whole = ask(RANKER, lists, lists.retrieval_scores)
    cut = RankingLists(*(getattr(lists, name) for name in RankingLists.__dataclass_fields__))
    few = RankingLists(
        cut.user_rows, cut.item_rows[:, 3:5], cut.retrieval_scores[:, 3:5], cut.features, cut.labels
    )

    assert ask(RANKER, few, few.retrieval_scores) == pytest.approx(whole[:, 3:5], abs=1e-5)


def test_users_of_one_group_have_one_forest_that_learns_from_all() -> None:
    lists = draw_lists(np.full(6, 4, np.int32))

    assert len(fit_forests(lists, CONFIG).boosters) == 1
    assert len(FITTED.boosters) == CONFIG.groups
