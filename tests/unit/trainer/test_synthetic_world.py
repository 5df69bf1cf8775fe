import time
from collections import Counter
from itertools import chain

import numpy as np
import pytest
from numpy.typing import NDArray

from recserve_trainer.datasets.synthetic_words import GENRES, OCCUPATION_TEXTS, OCCUPATIONS
from recserve_trainer.datasets.synthetic_world import UserRatings, World
from recserve_trainer.synthetic_size import SyntheticSize

TWO_YEARS_S = 2 * 365 * 86_400


@pytest.fixture(scope="module")
def small() -> World:
    return World(SyntheticSize(user_count=400, item_count=300, seed=2))


@pytest.fixture(scope="module")
def small_ratings(small: World) -> list[UserRatings]:
    return list(small.ratings())


def as_bytes(world: World) -> list[bytes]:
    return [
        part.tobytes()
        for ratings in world.ratings()
        for part in (ratings.items, ratings.stars, ratings.timestamps)
    ]


def test_equal_sizes_make_equal_worlds_whichever_part_is_asked_for_first() -> None:
    size = SyntheticSize(user_count=30, item_count=40, seed=9)
    first, second = World(size), World(size)

    ratings = as_bytes(first)
    titles = second.items.titles
    zip_codes = second.users.zip_codes.tolist()

    assert as_bytes(second) == ratings
    assert as_bytes(first) == ratings
    assert first.items.titles == titles
    assert first.items.genres.tolist() == second.items.genres.tolist()
    assert first.users.zip_codes.tolist() == zip_codes


def test_another_seed_makes_another_world() -> None:
    one, other = (World(SyntheticSize(user_count=30, item_count=40, seed=s)) for s in (1, 2))

    assert one.items.titles != other.items.titles
    assert as_bytes(one) != as_bytes(other)


def test_worlds_that_differ_in_users_only_share_their_catalogue() -> None:
    few, many = (World(SyntheticSize(user_count=n, item_count=40)) for n in (10, 500))

    assert few.items.titles == many.items.titles
    assert few.items.log_popularity.tolist() == many.items.log_popularity.tolist()


@pytest.mark.parametrize(
    "size",
    [
        SyntheticSize(user_count=10, item_count=10),
        SyntheticSize(user_count=10, item_count=10, interaction_count=10),
        SyntheticSize(user_count=10, item_count=11, interaction_count=50),
        SyntheticSize(user_count=57, item_count=100, interaction_count=1234),
        SyntheticSize(user_count=57, item_count=100, interaction_count=2850),
    ],
    ids=lambda size: size.name,
)
def test_the_world_has_exactly_the_counts_of_its_size(size: SyntheticSize) -> None:
    world = World(size)
    counts = [len(set(ratings.items.tolist())) for ratings in world.ratings()]

    assert len(counts) == size.user_count
    assert sum(counts) == size.interaction_count
    assert min(counts) >= min(10, size.interaction_count // size.user_count)
    assert max(counts) <= size.item_count * 4 // 5
    assert len(world.items.titles) == len(world.items.genres) == size.item_count


def test_a_user_rates_an_item_of_the_catalogue_at_most_once(
    small_ratings: list[UserRatings],
) -> None:
    for user, ratings in enumerate(small_ratings):
        assert ratings.user == user
        assert len(np.unique(ratings.items)) == len(ratings.items)
        assert ratings.items.min() >= 0
        assert ratings.items.max() < 300


def test_stars_are_whole_from_one_to_five_and_rise_with_the_match(
    small: World, small_ratings: list[UserRatings]
) -> None:
    stars = np.concatenate([r.stars - r.stars.mean() for r in small_ratings])
    matches = [small.items.factors[r.items] @ small.users.factors[r.user] for r in small_ratings]
    match = np.concatenate([values - values.mean() for values in matches])

    shares = np.bincount(np.concatenate([r.stars for r in small_ratings]), minlength=6)
    assert shares[0] == 0
    assert len(shares) == 6
    assert all(shares[1:] > 0)
    assert 0.3 < np.corrcoef(stars, match)[0, 1] < 0.9


def test_a_user_rates_in_sessions_in_increasing_time_within_two_years(
    small_ratings: list[UserRatings],
) -> None:
    times = [ratings.timestamps for ratings in small_ratings]

    assert all(np.diff(time).min() > 0 for time in times)
    assert min(time[0] for time in times) > 0
    assert max(time[-1] for time in times) - min(time[0] for time in times) < TWO_YEARS_S
    pauses = np.concatenate([np.diff(time) for time in times])
    assert np.mean(pauses < 60) > 0.8
    assert np.median([time[-1] - time[0] for time in times]) > 90 * 86_400


def test_genres_are_valid_distinct_and_as_frequent_as_in_real_catalogues() -> None:
    genres = World(SyntheticSize(item_count=5000)).items.genres
    per_item = [[GENRES[genre] for genre in row if genre >= 0] for row in genres.tolist()]

    assert all(1 <= len(names) <= 3 for names in per_item)
    assert all(len(set(names)) == len(names) for names in per_item)
    share = {name: n / 5000 for name, n in Counter(chain.from_iterable(per_item)).items()}
    assert not {"IMAX", "Unknown", "(no genres listed)"} & share.keys()
    assert len(share) == 18
    assert 0.3 < share["Drama"] < 0.5
    assert 0.01 < share["Film-Noir"] < 0.1


def test_a_few_titles_repeat_and_all_end_in_a_year() -> None:
    titles = World(SyntheticSize(item_count=5000)).items.titles

    assert 0.98 < len(set(titles)) / len(titles) < 0.995
    years = [int(title[-5:-1]) for title in titles]
    assert all(title[-7:-5] == " (" for title in titles)
    assert min(years) > 1920
    assert max(years) <= 2024
    assert np.median(years) > 2005


def test_occupations_fit_the_label_and_the_age(small: World) -> None:
    texts = [OCCUPATION_TEXTS[position] for position in small.users.occupations]

    assert len(OCCUPATION_TEXTS) == 21
    assert set(OCCUPATION_TEXTS) - {"college/grad student", "K-12 student"} < set(OCCUPATIONS)
    pupils = [text for text, age in zip(texts, small.users.ages, strict=True) if age == 1]
    assert Counter(pupils).most_common(1)[0][0] == "K-12 student"


def test_a_few_items_take_a_large_share_of_the_ratings() -> None:
    counts = rating_counts(World(SyntheticSize(user_count=500, item_count=5000)))

    top_share = np.sort(counts)[::-1][:50].sum() / counts.sum()

    assert 0.08 < top_share < 0.2


def test_many_items_are_chosen_from_a_pool_in_bounded_time() -> None:
    started = time.monotonic()
    size = SyntheticSize(user_count=50, item_count=50_000)

    world = World(size)
    counts = rating_counts(world)

    assert counts.sum() == size.interaction_count
    # By what is meant to be popular: with so few ratings, what turned out to be is mostly luck.
    head = np.argsort(-world.items.log_popularity)[:500]
    assert 0.08 < counts[head].sum() / counts.sum() < 0.2
    assert time.monotonic() - started < 20


def test_a_pool_favours_the_same_items_as_the_whole_catalogue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size = SyntheticSize(user_count=150, item_count=18_000)
    whole = rating_counts(World(size))
    popular = np.argsort(-World(size).items.log_popularity)

    monkeypatch.setattr("recserve_trainer.datasets.synthetic_world._FULL_SCAN_ITEMS", 100)
    pooled = rating_counts(World(size))

    for share in (0.01, 0.1, 0.5):
        head = popular[: int(share * len(popular))]
        ours, theirs = (counts[head].sum() / counts.sum() for counts in (pooled, whole))
        assert abs(ours - theirs) < 0.03


def rating_counts(world: World) -> NDArray[np.int64]:
    chosen = np.concatenate([ratings.items for ratings in world.ratings()])
    return np.bincount(chosen, minlength=len(world.items.titles))


def test_item_item_regression_ranks_much_better_than_popularity(
    small_ratings: list[UserRatings],
) -> None:
    rng = np.random.default_rng(0)
    train, held_out = np.zeros((2, 400, 300))
    for ratings in small_ratings:
        items = rng.permutation(ratings.items)
        held_out_count = max(1, len(items) // 5)
        held_out[ratings.user, items[:held_out_count]] = 1
        train[ratings.user, items[held_out_count:]] = 1

    popularity = ndcg_at_10(np.tile(train.sum(axis=0), (400, 1)), train, held_out)
    regression = ndcg_at_10(ease_scores(train, 200.0), train, held_out)

    assert popularity > 0.1
    assert regression < 0.8
    assert regression > 1.3 * popularity


def ease_scores(train: NDArray[np.float64], ridge: float) -> NDArray[np.float64]:
    precision = np.linalg.inv(train.T @ train + ridge * np.eye(train.shape[1]))
    weights = -precision / np.diag(precision)
    np.fill_diagonal(weights, 0.0)
    return train @ weights


def ndcg_at_10(
    scores: NDArray[np.float64], train: NDArray[np.float64], held_out: NDArray[np.float64]
) -> float:
    top = np.argsort(-np.where(train > 0, -np.inf, scores), axis=1)[:, :10]
    discounts = 1 / np.log2(np.arange(10) + 2)
    gains = np.take_along_axis(held_out, top, axis=1) @ discounts
    ideal = np.cumsum(discounts)[np.minimum(held_out.sum(axis=1), 10).astype(int) - 1]
    return float(np.mean(gains / ideal))
