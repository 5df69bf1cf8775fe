import pytest

from recserve_client import (
    ItemView,
    ModelRetiredError,
    ModelState,
    NotFoundError,
    RecommendationSource,
)


def ids(ranking) -> list[str]:
    return [item.item_id for item in ranking]


def scores(ranking) -> list[float]:
    return [item.score for item in ranking]


def test_similar_items_share_attributes(ask) -> None:
    answer = ask("find_similar_items", "alien", k=2, view=ItemView.FULL)

    assert ids(answer) == ["brazil", "et"]
    assert scores(answer) == pytest.approx([1 / 5, 1 / 5])
    assert answer.items[0].attributes["year"] == 1985


def test_similar_items_are_not_the_given_ones(client) -> None:
    answer = client.find_similar_items(["alien", "et", "no such item"])

    assert ids(answer)[0] == "brazil"
    assert {"alien", "et"}.isdisjoint(ids(answer))
    assert answer.unknown_item_count == 1


def test_items_that_nobody_knows_have_no_similar_ones(client) -> None:
    with pytest.raises(NotFoundError) as caught:
        client.find_similar_items("no such item")

    assert caught.value.reason == "ITEM_UNKNOWN"


def test_given_items_are_ranked_seen_ones_too(ask) -> None:
    answer = ask("rank_items", ["duck", "no such item", "alien"], user_id="ann")

    assert set(ids(answer)) == {"duck", "alien"}
    assert answer.unknown_item_ids == ("no such item",)
    assert scores(answer) == sorted(scores(answer), reverse=True)


def test_ranked_items_stand_in_the_order_of_recommendations(client) -> None:
    recommended = ids(client.recommend("cid"))

    assert ids(client.rank_items(sorted(recommended), user_id="cid")) == recommended


def test_a_told_list_is_what_the_user_gets(server, ask) -> None:
    server.set_recommendations("ann", ["duck", "alien"])

    answer = ask("recommend", "ann")

    assert ids(answer) == ["duck", "alien"]
    assert answer.source is RecommendationSource.USER_ID
    assert answer.is_short


def test_k_and_exclusions_hold_for_a_told_list(server, client) -> None:
    server.set_recommendations("new", ["duck", "alien", "brazil"])

    assert ids(client.recommend("new", k=2)) == ["duck", "alien"]
    assert ids(client.recommend("new", excluded_item_ids=["duck"])) == ["alien", "brazil"]
    assert ids(client.rank_items(["et", "brazil", "duck"], user_id="new")) == [
        "duck",
        "brazil",
        "et",
    ]


def test_a_told_list_may_be_empty(server, client) -> None:
    server.set_recommendations("ann", [])

    assert ids(client.recommend("ann")) == []
    assert client.recommend("ann").is_personal


def test_a_list_of_nobody_is_refused(server) -> None:
    with pytest.raises(ValueError, match="user id is '', which is empty"):
        server.set_recommendations("", ["et"])


@pytest.mark.parametrize(
    ("item_ids", "told"),
    [(["nope"], "'nope', which is not in"), (["et", "et"], "each item once"), ("et", "a sequence")],
)
def test_a_list_that_cannot_be_is_refused(server, item_ids, told) -> None:
    with pytest.raises(ValueError, match=told):
        server.set_recommendations("ann", item_ids)


def test_the_model_is_described(ask) -> None:
    model = ask("get_model")

    assert (model.name, model.version, model.state) == ("films", 1, ModelState.SERVING)
    assert (model.user_count, model.item_count, model.max_k) == (3, 6, 500)
    assert ask("list_models") == (model,)


@pytest.mark.parametrize("asked", [("other", 0), ("films", 2), ("", 2)])
def test_there_is_no_other_model(client, asked) -> None:
    with pytest.raises(NotFoundError) as caught:
        client.get_model(*asked)

    assert caught.value.reason == "MODEL_UNKNOWN"


def test_a_list_cannot_be_continued_once_a_new_version_is_rolled_out(server, client) -> None:
    first = client.recommend("ann", k=1)
    server.model.version = 2

    with pytest.raises(ModelRetiredError):
        client.more(first)
    assert client.recommend("ann").model_version == 2
