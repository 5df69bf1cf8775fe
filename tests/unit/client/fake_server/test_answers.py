import pytest

from recserve_client import (
    FallbackReason,
    HistoryEntry,
    InvalidRequestError,
    ItemView,
    NotPersonalError,
    RecommendationSource,
    RecommenderClient,
)
from recserve_client.testing import FakeServer, Item


def ids(ranking) -> list[str]:
    return [item.item_id for item in ranking]


def scores(ranking) -> list[float]:
    return [item.score for item in ranking]


def test_a_known_user_gets_the_same_personal_order_in_every_process(ask) -> None:
    answer = ask("recommend", "ann")

    assert ids(answer) == ["et", "brazil", "duck", "casablanca", "untold"]
    assert answer.source is RecommendationSource.USER_ID
    assert answer.is_personal
    assert scores(answer) == sorted(scores(answer), reverse=True)


def test_users_differ_in_their_order(client) -> None:
    answers = {tuple(ids(client.recommend(user, include_seen=True))) for user in ("ann", "ben")}

    assert len(answers) == 2


def test_what_a_user_took_comes_back_only_if_asked_for(client) -> None:
    assert {"alien", "et"}.isdisjoint(ids(client.recommend("ben")))
    assert len(client.recommend("ben", include_seen=True)) == 6


def test_an_unknown_user_gets_what_most_users_took(ask) -> None:
    answer = ask("recommend", "nobody")

    assert ids(answer) == ["alien", "et", "brazil", "casablanca", "duck", "untold"]
    assert scores(answer) == [2, 1, 0, 0, 0, 0]
    assert answer.source is RecommendationSource.POPULARITY
    assert answer.fallback_reason is FallbackReason.UNKNOWN_USER


@pytest.mark.parametrize(
    ("asker", "reason"),
    [({"user_id": "nobody"}, "UNKNOWN_USER"), ({"history": ["no such item"]}, "NOTHING_KNOWN")],
)
def test_a_strict_caller_gets_no_popular_items(client, asker, reason) -> None:
    with pytest.raises(NotPersonalError, match=reason) as caught:
        client.recommend(**asker, strict=True)

    assert caught.value.reason == "NOT_PERSONAL"


def test_a_stranger_is_answered_by_history_similar_items_first(ask) -> None:
    answer = ask("recommend", history=["brazil", HistoryEntry("no such item")])

    assert answer.source is RecommendationSource.HISTORY
    assert answer.unknown_history_count == 1
    assert "brazil" not in ids(answer)
    assert ids(answer)[0] == "duck"


def test_a_stranger_is_answered_by_features(client) -> None:
    young, old = (client.recommend(features={"age": age}) for age in (20, 80))

    assert young.source is RecommendationSource.FEATURES
    assert ids(young) != ids(old)


def test_a_history_moves_a_known_user(client) -> None:
    moved = client.recommend("cid", history=["brazil"])

    assert moved.source is RecommendationSource.USER_ID_AND_HISTORY
    assert scores(moved) != scores(client.recommend("cid", excluded_item_ids=["brazil"]))


def test_a_history_of_unknown_items_tells_nothing(client) -> None:
    answer = client.recommend(history=["no such item"])

    assert answer.fallback_reason is FallbackReason.NOTHING_KNOWN


def test_attributes_and_percentiles_are_told_if_asked_for(client) -> None:
    plain = client.recommend("nobody").items[0]
    full = client.recommend("nobody", view=ItemView.FULL)

    assert (plain.attributes, plain.percentile) == ({}, None)
    assert full.items[0].attributes == {"genres": ("Horror", "Sci-Fi"), "year": 1979.0}
    assert [item.percentile for item in full] == pytest.approx([500 / 6, 400 / 6, 0, 0, 0, 0])


def test_the_reasons_of_a_history_add_up_to_the_score(client) -> None:
    for item in client.recommend(history=["alien", "brazil"], explain=True):
        reasons = item.explanation.contributions

        assert item.explanation.is_exact
        assert sum(each.score for each in reasons) == pytest.approx(item.score)
        assert {each.title for each in reasons} == {"Alien", "Brazil"}


def test_shared_attributes_are_told_of_reasons(client) -> None:
    [item] = client.recommend(history=["alien"], allowed_item_ids=["et"], explain=True)

    assert item.explanation.shared_attributes == {"genres": ("Sci-Fi",)}


def test_popular_items_are_there_for_being_popular(client) -> None:
    explanations = [item.explanation for item in client.recommend("nobody", explain=True)]

    assert all(each.is_popular and not each.contributions for each in explanations)


def test_without_explain_nothing_is_explained(client) -> None:
    assert client.recommend("ann").items[0].explanation is None


def test_users_of_a_batch_are_answered_in_their_order(ask) -> None:
    first, second = ask("recommend_batch", ["nobody", "ann"], k=2)

    assert (first.is_personal, second.is_personal) == (False, True)
    assert ids(second) == ["et", "brazil"]


def test_a_violation_in_a_batch_has_its_place(client) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        client.recommend_batch(["ann", "x" * 129])

    assert caught.value.violations[0].field == "requests[1].user_id"


def test_items_without_attributes_are_recommended_too() -> None:
    items = [Item(str(number)) for number in range(30)]
    with FakeServer(items) as bare, RecommenderClient(bare.target) as client:
        by_history = client.recommend(history=["3"], k=29)

    assert len(set(ids(by_history))) == 29
    assert ids(by_history) != sorted(ids(by_history), key=int)
