import math
from collections import Counter

import pytest

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_client import Filter
from recserve_client.loadtest.plan import PlanError, Question
from recserve_client.loadtest.traffic.answers import read_answers
from recserve_client.loadtest.traffic.drawing import (
    BATCH_RECOMMEND,
    RECOMMEND,
    Population,
    draw_questions,
)
from recserve_client.loadtest.traffic.mix import Mix, Span

USERS = [f"user-{number}" for number in range(200)]
ITEMS = [f"item-{number}" for number in range(50)]
POPULATION = Population(USERS, ITEMS)
COUNT = 20_000
DRAMA = (Filter.any_of("genres", ["Drama"]),)


def drawn(mix: Mix, count: int = 2000, seed: int = 1) -> list[pb.RecommendRequest]:
    questions = draw_questions(mix, POPULATION, count, seed)
    assert {each.method for each in questions} == {RECOMMEND}
    return [pb.RecommendRequest.FromString(each.message) for each in questions]


def assert_about(hits: int, count: int, share: float) -> None:
    """Fails by chance once in three million seeds, and these seeds are fixed."""
    assert abs(hits - count * share) <= 5 * math.sqrt(count * share * (1 - share))


def test_the_same_seed_draws_the_same_calls() -> None:
    mix = Mix(unknown_share=0.1, history_share=0.5, batch_share=0.1, batch_size=3)
    first = draw_questions(mix, POPULATION, 300, 1)

    assert draw_questions(mix, POPULATION, 300, 1) == first
    assert draw_questions(mix, POPULATION, 300, 2) != first
    assert draw_questions(mix, POPULATION, 100, 1) == first[:100]


@pytest.mark.parametrize("zipf", [0.0, 0.5, 1.0, 2.0])
def test_users_ask_as_often_as_zipfs_law_says(zipf: float) -> None:
    counts = Counter(request.user_id for request in drawn(Mix(zipf=zipf), COUNT))

    assert set(counts) <= set(USERS)
    weights = [rank**-zipf for rank in range(1, len(USERS) + 1)]
    if not zipf:
        assert all(counts[user] for user in USERS)
        assert_about(max(counts.values()), COUNT, 1 / len(USERS))
        return
    for (_, count), weight in zip(counts.most_common(5), weights[:5], strict=True):
        assert_about(count, COUNT, weight / sum(weights))


def test_who_asks_most_is_nobody_in_particular() -> None:
    first = {
        Counter(request.user_id for request in drawn(Mix(zipf=2.0), 500, seed)).most_common(1)[0][0]
        for seed in range(5)
    }
    assert len(first) > 1


def test_unknown_users_are_really_unknown() -> None:
    ids = [request.user_id for request in drawn(Mix(unknown_share=0.25), COUNT)]
    unknown = [user_id for user_id in ids if user_id not in set(USERS)]

    assert_about(len(unknown), COUNT, 0.25)
    assert len(set(unknown)) == len(unknown)


def test_without_known_users_all_may_be_unknown() -> None:
    [question] = draw_questions(Mix(unknown_share=1.0), Population([], []), 1, 1)
    assert pb.RecommendRequest.FromString(question.message).user_id.startswith("unknown-")


def test_numbers_of_items_are_drawn_by_their_weights() -> None:
    counts = Counter(request.k for request in drawn(Mix(ks=((10, 3.0), (50, 1.0))), COUNT))
    assert set(counts) == {10, 50}
    assert_about(counts[50], COUNT, 0.25)


def test_histories_and_exclusions_are_drawn() -> None:
    mix = Mix(
        history_share=0.3,
        history_length=Span(2, 4),
        exclusion_share=0.6,
        exclusion_count=Span(1, 1000),
    )
    requests = drawn(mix, COUNT)

    histories = [[entry.item_id for entry in each.history] for each in requests if each.history]
    assert_about(len(histories), COUNT, 0.3)
    assert {len(each) for each in histories} == {2, 3, 4}
    assert all(len(set(each)) == len(each) and set(each) <= set(ITEMS) for each in histories)
    excluded = [each.excluded_item_ids for each in requests if each.excluded_item_ids]
    assert_about(len(excluded), COUNT, 0.6)
    assert max(map(len, excluded)) == len(ITEMS)


def test_filters_are_brought_by_their_share() -> None:
    requests = drawn(Mix(filter_share=0.5, filters=DRAMA), COUNT)
    filtered = [each.filters for each in requests if each.filters]
    assert_about(len(filtered), COUNT, 0.5)
    assert all(each[0].attribute == "genres" for each in filtered)


def test_batches_are_drawn_by_their_share() -> None:
    questions = draw_questions(Mix(batch_share=0.2, batch_size=3), POPULATION, COUNT, 1)
    batches = [each for each in questions if each.method == BATCH_RECOMMEND]

    assert_about(len(batches), COUNT, 0.2)
    requests = pb.BatchRecommendRequest.FromString(batches[0].message).requests
    assert len(requests) == 3
    assert {each.user_id for each in requests} <= set(USERS)


@pytest.mark.parametrize(
    ("mix", "population", "told"),
    [
        (Mix(unknown_share=0.99), Population([], ITEMS), "^there are no known users"),
        (Mix(history_share=0.1), Population(USERS, []), "^there are no items for histories"),
        (Mix(exclusion_share=0.1), Population(USERS, []), "^there are no items for histories"),
        (Mix(ks=((2**31, 1.0),)), POPULATION, "^the mix makes a request that cannot be sent: "),
    ],
)
def test_what_cannot_be_drawn_is_told(mix: Mix, population: Population, told: str) -> None:
    with pytest.raises(PlanError, match=told):
        draw_questions(mix, population, 10, 1)


def response(*, popular: bool = False, short: bool = False, version: int = 3):
    source = "RECOMMENDATION_SOURCE_" + ("POPULARITY" if popular else "USER_ID")
    return pb.RecommendResponse(
        source=source, is_short=short, model_name="films", model_version=version
    )


def test_answers_are_read() -> None:
    batch = pb.BatchRecommendResponse(
        responses=[response(popular=True), response(short=True, version=4)]
    )
    found = read_answers(
        [
            (RECOMMEND, response().SerializeToString()),
            (BATCH_RECOMMEND, batch.SerializeToString()),
            ("/recserve.v1.RecommendationService/RankItems", b"anything"),
            (RECOMMEND, b"\xff no message"),
        ]
    )
    assert found.sampled == 4
    assert found.personal_share == pytest.approx(2 / 3)
    assert found.short_share == pytest.approx(1 / 3)
    assert found.model_versions == ("films 3", "films 4")


def test_no_answers_tell_nothing() -> None:
    found = read_answers([("/a.B/C", b"")])
    assert (found.sampled, found.personal_share, found.model_versions) == (1, None, ())
    assert read_answers([]).sampled == 0


def test_a_question_is_plain_bytes() -> None:
    [question] = draw_questions(Mix(), POPULATION, 1, 1)
    assert isinstance(question, Question)
    assert isinstance(question.message, bytes)
