import copy
import dataclasses
import pickle

import pytest

from recserve_client import (
    Contribution,
    Explanation,
    FallbackReason,
    ModelState,
    ModelVersion,
    RankedItems,
    Recommendation,
    RecommendationSource,
    RecordedEvents,
    ScoredItem,
    SimilarItems,
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
        labels=("canary",),
        canary_percent=5.0,
        golden_overlap=0.998,
    )


def explained_item() -> ScoredItem:
    return ScoredItem(
        "50",
        4.5,
        "Star Wars",
        attributes={"year": 1977.0, "genres": ("War",)},
        explanation=Explanation(
            contributions=(Contribution("172", "Amélie", 0.25),),
            shared_attributes={"genres": ("War",)},
        ),
    )


def ranked_items(*items: ScoredItem) -> RankedItems:
    return RankedItems(
        user_id="42",
        items=items,
        source=RecommendationSource.HISTORY,
        fallback_reason=None,
        model_name="films",
        model_version=3,
    )


def similar_items(*items: ScoredItem) -> SimilarItems:
    return SimilarItems(item_ids=("1",), items=items, model_name="films", model_version=3)


@pytest.mark.parametrize("make", [ranked_items, similar_items])
def test_ranked_and_similar_items_iterate_in_order(make) -> None:
    ranking = make(ScoredItem("172", 2.0, ""), ScoredItem("50", 1.0, ""))

    assert [item.item_id for item in ranking] == ["172", "50"]
    assert len(ranking) == 2


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


@pytest.mark.parametrize(
    "value",
    [
        recommendation(),
        recommendation(items=(explained_item(),), _request=b"asked"),
        ranked_items(explained_item()),
        similar_items(explained_item()),
        RecordedEvents(recorded_count=1, duplicate_count=2),
        model_version(),
    ],
)
def test_values_are_frozen_hashable_and_survive_copy_and_pickle(value) -> None:
    assert {value, copy.deepcopy(value), pickle.loads(pickle.dumps(value))} == {value}
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, dataclasses.fields(value)[0].name, "other")


def test_what_was_asked_goes_along_when_a_recommendation_is_copied() -> None:
    asked = recommendation(_request=b"asked")

    copies = [copy.deepcopy(asked), pickle.loads(pickle.dumps(asked))]

    assert [each._request for each in copies] == [b"asked", b"asked"]


def test_a_model_version_prints_with_its_labels() -> None:
    assert "labels=('canary',), canary_percent=5.0, golden_overlap=0.998" in repr(model_version())


def test_enums_read_as_lower_case_text() -> None:
    assert f"{RecommendationSource.USER_ID}" == "user_id"
    assert f"{ModelState.REFUSED}" == "refused"


def test_a_ranking_prints_in_a_line() -> None:
    assert repr(recommendation()) == (
        "<Recommendation for '42' from user_id: 2 items by films 3: "
        "50 'Star Wars' 4.5, 172 'Amélie' 4.25>"
    )
    assert repr(similar_items()) == "<SimilarItems to '1': 0 items by films 3>"


def test_long_rankings_are_cut_when_printed() -> None:
    item = recommendation().items[0]

    assert repr(recommendation(items=(item,) * 500)).endswith(", ...>")
    assert len(repr(recommendation(items=(item,) * 500))) < 200


def test_a_ranking_without_a_user_says_so() -> None:
    nobody = recommendation(
        user_id="",
        source=RecommendationSource.POPULARITY,
        fallback_reason=FallbackReason.NOTHING_KNOWN,
    )

    assert "for nobody named from popularity, nothing_known" in repr(nobody)


def test_a_ranking_becomes_rows_of_a_table() -> None:
    item = ScoredItem("50", 4.5, "Star Wars", attributes={"year": 1977.0, "genres": ("Sci-Fi",)})

    rows = recommendation(items=(item, item)).to_records()

    assert [row["rank"] for row in rows] == [1, 2]
    assert rows[0] == {
        "rank": 1,
        "item_id": "50",
        "title": "Star Wars",
        "score": 4.5,
        "retrieval_score": None,
        "percentile": None,
        "attributes.year": 1977.0,
        "attributes.genres": ("Sci-Fi",),
        "user_id": "42",
        "source": "user_id",
        "model_name": "films",
        "model_version": 3,
    }


def test_rows_of_other_rankings_say_what_they_are_about() -> None:
    [ranked] = ranked_items(explained_item()).to_records()
    [similar] = similar_items(explained_item()).to_records()

    assert ranked["user_id"] == "42"
    assert similar["similar_to"] == ("1",)
