"""Items of answers, of which any may be told much or little."""

import pytest

from recserve.v1 import recommendation_service_pb2 as recommendation_pb
from recserve_client import Contribution, Explanation, ScoredItem, _convert

ASKED = recommendation_pb.RecommendRequest(user_id="42")
FULL = recommendation_pb.ScoredItem(
    item_id="50",
    score=4.5,
    title="Star Wars",
    retrieval_score=0.0,
    percentile=99.5,
    attributes=[
        recommendation_pb.Attribute(name="year", number=0),
        recommendation_pb.Attribute(name="genres", texts=["War", "Sci-Fi"]),
        recommendation_pb.Attribute(name="language", texts=["en"]),
    ],
    explanation=recommendation_pb.Explanation(
        contributions=[recommendation_pb.Contribution(item_id="172", title="Amélie", score=0.25)],
        is_exact=True,
        shared_attributes=[recommendation_pb.Attribute(name="genres", texts=["War"])],
    ),
)
ANSWERS = [
    (
        _convert.recommendation,
        recommendation_pb.RecommendRequest,
        recommendation_pb.RecommendResponse,
    ),
    (
        _convert.ranked_items,
        recommendation_pb.RankItemsRequest,
        recommendation_pb.RankItemsResponse,
    ),
    (
        _convert.similar_items,
        recommendation_pb.FindSimilarItemsRequest,
        recommendation_pb.FindSimilarItemsResponse,
    ),
]


@pytest.mark.parametrize(("convert", "request_class", "response_class"), ANSWERS)
def test_an_item_keeps_every_field(convert, request_class, response_class) -> None:
    assert convert(request_class(), response_class(items=[FULL])).items == (
        ScoredItem(
            "50",
            4.5,
            "Star Wars",
            retrieval_score=0.0,
            percentile=99.5,
            attributes={"year": 0.0, "genres": ("War", "Sci-Fi"), "language": ("en",)},
            explanation=Explanation(
                contributions=(Contribution("172", "Amélie", 0.25),),
                is_popular=False,
                is_exact=True,
                shared_attributes={"genres": ("War",)},
            ),
        ),
    )


def test_an_explanation_without_contributions_is_still_one() -> None:
    explanation = recommendation_pb.Explanation(is_popular=True)
    response = recommendation_pb.RecommendResponse(
        items=[recommendation_pb.ScoredItem(item_id="50", explanation=explanation)]
    )

    (item,) = _convert.recommendation(ASKED, response)

    assert item.explanation == Explanation(is_popular=True)


def test_what_an_item_does_not_have_is_none_or_empty() -> None:
    response = recommendation_pb.RecommendResponse(items=[recommendation_pb.ScoredItem()])

    (item,) = _convert.recommendation(ASKED, response)

    assert (item.retrieval_score, item.percentile, item.explanation) == (None, None, None)
    assert item.attributes == {}
