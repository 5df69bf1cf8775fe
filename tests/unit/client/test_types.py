import copy
import dataclasses
import pickle

import pytest

from recserve_client import (
    FallbackReason,
    ModelState,
    ModelVersion,
    Recommendation,
    RecommendationSource,
    ScoredItem,
)


def recommendation(**changes) -> Recommendation:
    fields = {
        "user_id": "42",
        "items": (ScoredItem("50", 4.5, "Star Wars"), ScoredItem("172", 4.25, "Amélie")),
        "source": RecommendationSource.USER_ID,
        "fallback_reason": None,
        "model_name": "films",
        "model_version": 3,
    }
    return Recommendation(**(fields | changes))


def model_version() -> ModelVersion:
    return ModelVersion(
        name="films",
        version=3,
        state=ModelState.SERVING,
        state_message="",
        kind="collaborative",
        index="exact",
        user_count=943,
        item_count=1682,
        embedding_dimension=32,
        dataset="ml-100k",
        test_metrics={"recall@10": 0.25},
        create_time=None,
        load_time=None,
        max_k=500,
    )


def test_a_recommendation_iterates_over_its_items_in_order() -> None:
    assert [item.item_id for item in recommendation()] == ["50", "172"]
    assert len(recommendation()) == 2


@pytest.mark.parametrize(
    ("source", "fallback_reason", "personal"),
    [
        (RecommendationSource.USER_ID, None, True),
        (RecommendationSource.UNKNOWN, None, True),
        (RecommendationSource.POPULARITY, FallbackReason.UNKNOWN_USER, False),
        (RecommendationSource.POPULARITY, None, False),
        (RecommendationSource.UNKNOWN, FallbackReason.UNKNOWN, False),
    ],
)
def test_a_ranking_is_personal_unless_it_fell_back(source, fallback_reason, personal) -> None:
    ranking = recommendation(source=source, fallback_reason=fallback_reason)

    assert ranking.is_personal is personal


@pytest.mark.parametrize("value", [recommendation(), model_version()])
def test_values_are_frozen_hashable_and_survive_copy_and_pickle(value) -> None:
    assert {value, copy.deepcopy(value), pickle.loads(pickle.dumps(value))} == {value}
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(value)[0].name, "other")


def test_enums_read_as_lower_case_text() -> None:
    assert f"{RecommendationSource.USER_ID}" == "user_id"
    assert f"{ModelState.REFUSED}" == "refused"
