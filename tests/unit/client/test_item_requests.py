"""Items to the messages that ask about them."""

import pytest

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_client import InvalidRequestError, ItemView
from recserve_client._requests import rank_items_request, similar_items_request


@pytest.mark.parametrize("item_ids", ["50", ["50"], ("50",)])
def test_one_item_or_several_may_be_given_to_find_similar_ones(item_ids) -> None:
    request = similar_items_request(item_ids, {"excluded_item_ids": ["1"], "view": ItemView.FULL})

    assert request == pb.FindSimilarItemsRequest(
        item_ids=["50"], k=10, excluded_item_ids=["1"], view=pb.ITEM_VIEW_FULL
    )


def test_items_to_rank_are_sent_in_the_order_given() -> None:
    request = rank_items_request(["3", "1"], "42", {"history": ["9"], "explain": True})

    assert request == pb.RankItemsRequest(
        user_id="42", item_ids=["3", "1"], history=[{"item_id": "9"}], explain=True
    )


@pytest.mark.parametrize(
    ("call", "arguments", "place"),
    [
        (similar_items_request, (50, {}), "item_ids"),
        (similar_items_request, (["50", 50], {}), "item_ids[1]"),
        (rank_items_request, ("50", "42", {}), "item_ids"),
        (rank_items_request, (["50"], 42, {}), "user_id"),
    ],
)
def test_items_that_cannot_be_sent_are_refused_by_place(call, arguments, place) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        call(*arguments)

    assert [violation.field for violation in caught.value.violations] == [place]
