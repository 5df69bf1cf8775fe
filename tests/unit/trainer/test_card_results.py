import numpy as np
import pytest

from recserve_trainer.artifact.card_results import (
    Facts,
    Measurement,
    baseline_scorers,
    measure,
)
from recserve_trainer.evaluation.baselines import item_counts
from recserve_trainer.evaluation.bootstrap import difference_interval
from recserve_trainer.evaluation.metrics import evaluate
from recserve_trainer.evaluation.split import Split
from recserve_trainer.interactions import Dataset, Histories, Interactions
from recserve_trainer.tables import ItemTable, UserTable

USERS, ITEMS = 40, 60


def invented() -> tuple[Dataset, Split]:
    """Two tastes; the last item is only ever tested on, the last user never seen."""
    random = np.random.default_rng(0)
    users, items = np.divmod(
        random.choice((USERS - 1) * (ITEMS - 1), 900, replace=False), ITEMS - 1
    )
    order = np.lexsort((random.random(900), users))
    users, items = users[order].astype(np.int32), items[order].astype(np.int32)
    ratings = random.integers(1, 6, 900).astype(np.float32)
    everything = Interactions(users, items, ratings, np.arange(900))
    is_test = np.append(users[1:] != users[:-1], True)
    everything.item_rows[np.flatnonzero(is_test)[:3]] = ITEMS - 1
    dataset = Dataset(
        "invented",
        "1",
        UserTable([f"user {row}" for row in range(USERS)]),
        ItemTable([str(row) for row in range(ITEMS)], [f"title {row}" for row in range(ITEMS)]),
        everything,
    )
    nothing = everything.take(np.empty(0, np.intp))
    train = everything.take(np.flatnonzero(~is_test))
    return dataset, Split(train, nothing, everything.take(np.flatnonzero(is_test)), "last one")


DATASET, SPLIT = invented()
SEEN = Histories.of(USERS, SPLIT.train)
RELEVANT = Histories.of(USERS, SPLIT.test)
VECTORS = np.random.default_rng(1).normal(size=(USERS + ITEMS, 4)).astype(np.float32)
SCORERS = {
    **baseline_scorers(DATASET, SPLIT.train),
    "model": lambda users: VECTORS[users] @ VECTORS[USERS:].T,
}
MEASURED = measure(DATASET, SPLIT, SEEN, SCORERS)


def facts(split: Split) -> Facts:
    return measure(DATASET, split, SEEN, {"model": SCORERS["model"]}).facts


def result(measured: Measurement, scorer: str):
    return next(each for each in measured.results if each.scorer == scorer)


@pytest.mark.parametrize("scorer", ["model", "popularity", "ease"])
def test_the_metrics_are_those_of_evaluate(scorer: str) -> None:
    wanted = evaluate(SCORERS[scorer], RELEVANT, SEEN, k=10, item_count=ITEMS)

    assert MEASURED.metrics[scorer] == wanted
    means = {name: found.mean for name, found in result(MEASURED, scorer).metrics.items()}
    assert means == pytest.approx(means | wanted.by_name())


def test_the_model_comes_first_and_every_mean_lies_in_its_interval() -> None:
    assert [each.scorer for each in MEASURED.results] == ["model", "popularity", "ease"]
    for each in MEASURED.results:
        found = each.metrics["ndcg@10"]
        assert found.low < found.mean < found.high


def test_differences_pair_each_user_with_itself() -> None:
    ndcg = {
        name: np.array(
            [
                evaluate(scorer, _only(user), SEEN, k=10, item_count=ITEMS).ndcg
                for user in range(USERS - 1)
            ]
        )
        for name, scorer in SCORERS.items()
    }

    for difference in MEASURED.differences:
        wanted = difference_interval(ndcg["model"], ndcg[difference.baseline], seed=0, draws=2000)
        found = difference.metrics["ndcg@10"]
        assert (found.mean, found.low, found.high) == pytest.approx(
            (wanted.mean, wanted.low, wanted.high)
        )


def _only(user: int) -> Histories:
    rows = np.flatnonzero(SPLIT.test.user_rows == user)
    return Histories.of(USERS, SPLIT.test.take(rows))


def test_groups_by_activity_hold_all_users_and_average_to_the_whole() -> None:
    groups = MEASURED.activity

    assert sum(group.user_count for group in groups) == USERS - 1
    assert [group.fewest for group in groups] == sorted(group.fewest for group in groups)
    for scorer, metrics in MEASURED.metrics.items():
        total = sum(group.user_count * group.metrics[scorer]["ndcg@10"] for group in groups)
        assert total / (USERS - 1) == pytest.approx(metrics.ndcg)


def test_facts_count_what_is_new_and_what_was_found_of_it() -> None:
    found = MEASURED.facts

    is_new = item_counts(SPLIT.train, ITEMS) == 0
    assert (found.user_count, found.test_count, found.new_user_count) == (USERS - 1, USERS - 1, 1)
    assert found.new_item_count == is_new.sum() >= 1
    assert found.new_item_test_count == is_new[SPLIT.test.item_rows].sum() >= 3
    assert found.new_items_found == is_new.sum()  # 50 of 60 random items for 39 users miss none
    assert found.low_rating_share == pytest.approx((SPLIT.test.ratings < 3).mean())


def test_popularity_finds_no_new_item_where_others_fill_the_list() -> None:
    counts = item_counts(SPLIT.train, ITEMS)
    wide = ItemTable([str(row) for row in range(200)], [""] * 200)
    dataset = Dataset("wide", "1", DATASET.users, wide, DATASET.interactions)
    scores = np.concatenate([100 + counts, np.zeros(200 - ITEMS)]).astype(np.float32)

    found = measure(
        dataset, SPLIT, SEEN, {"model": lambda users: np.tile(scores, (len(users), 1))}
    ).facts

    assert found.new_item_count == 200 - np.count_nonzero(counts)
    assert found.new_items_found < found.new_item_count


def test_the_order_in_time_is_told_from_the_timestamps() -> None:
    boundary = SPLIT.test.timestamps + 10_000
    later = Interactions(SPLIT.test.user_rows, SPLIT.test.item_rows, SPLIT.test.ratings, boundary)
    earlier = Interactions(
        SPLIT.test.user_rows, SPLIT.test.item_rows, SPLIT.test.ratings, -boundary
    )

    assert facts(SPLIT).time_order == "per user"
    assert facts(Split(SPLIT.train, SPLIT.validation, later, "")).time_order == "global"
    assert facts(Split(SPLIT.train, SPLIT.validation, earlier, "")).time_order == "none"


def test_ease_is_left_out_where_its_matrix_would_be_too_large() -> None:
    many = ItemTable([str(row) for row in range(5_001)], [""] * 5_001)
    large = Dataset("large", "1", DATASET.users, many, DATASET.interactions)

    assert list(baseline_scorers(large, SPLIT.train)) == ["popularity"]
    assert list(baseline_scorers(DATASET, SPLIT.train)) == ["popularity", "ease"]


def test_the_same_test_gives_the_same_numbers() -> None:
    assert measure(DATASET, SPLIT, SEEN, SCORERS) == MEASURED
