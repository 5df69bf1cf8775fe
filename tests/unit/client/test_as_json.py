import json
from datetime import UTC, datetime

from recserve_client import (
    Contribution,
    Explanation,
    FallbackReason,
    HealthStatus,
    ModelState,
    ModelVersion,
    RankedItems,
    Recommendation,
    RecommendationSource,
    RecordedEvents,
    ScoredItem,
    SimilarItems,
)
from recserve_client._cli import as_json

PLAIN = ScoredItem("172", 4.25, "Amélie")
PLAIN_JSON = {
    "item_id": "172",
    "score": 4.25,
    "title": "Amélie",
    "retrieval_score": None,
    "percentile": None,
    "attributes": {},
    "explanation": None,
}
FULL = ScoredItem(
    "50",
    4.5,
    "Star Wars",
    retrieval_score=0.5,
    percentile=99.5,
    attributes={"genres": ("War",), "year": 1977.0},
    explanation=Explanation(
        contributions=(Contribution("172", "Amélie", 0.25),),
        is_exact=True,
        shared_attributes={"genres": ("War",)},
    ),
)
FULL_JSON = {
    "item_id": "50",
    "score": 4.5,
    "title": "Star Wars",
    "retrieval_score": 0.5,
    "percentile": 99.5,
    "attributes": {"genres": ["War"], "year": 1977.0},
    "explanation": {
        "contributions": [{"item_id": "172", "title": "Amélie", "score": 0.25}],
        "is_popular": False,
        "is_exact": True,
        "shared_attributes": {"genres": ["War"]},
    },
}


def recommendation(*items: ScoredItem) -> Recommendation:
    return Recommendation(
        user_id="42",
        items=items,
        source=RecommendationSource.USER_ID,
        fallback_reason=None,
        model_name="films",
        model_version=3,
        is_short=True,
        unknown_excluded_count=1,
        unknown_history_count=2,
        is_degraded=True,
        _request=b"asked",
    )


def test_a_recommendation_has_every_field_but_the_request() -> None:
    assert json.loads(as_json.recommendation(recommendation(FULL, PLAIN))) == {
        "user_id": "42",
        "source": "user_id",
        "fallback_reason": None,
        "model_name": "films",
        "model_version": 3,
        "is_short": True,
        "unknown_excluded_count": 1,
        "unknown_history_count": 2,
        "is_degraded": True,
        "items": [FULL_JSON, PLAIN_JSON],
    }


def test_several_rankings_are_an_array_of_the_objects_of_one() -> None:
    one = recommendation(PLAIN)
    alone = json.loads(as_json.recommendation(one))

    assert json.loads(as_json.recommendations([one, one])) == [alone, alone]


def test_ranked_items_have_every_field() -> None:
    ranked = RankedItems(
        user_id="",
        items=(PLAIN,),
        source=RecommendationSource.POPULARITY,
        fallback_reason=FallbackReason.NOTHING_KNOWN,
        model_name="films",
        model_version=3,
        unknown_item_ids=("9",),
        unknown_history_count=1,
    )

    assert json.loads(as_json.ranked_items(ranked)) == {
        "user_id": "",
        "source": "popularity",
        "fallback_reason": "nothing_known",
        "model_name": "films",
        "model_version": 3,
        "unknown_item_ids": ["9"],
        "unknown_history_count": 1,
        "is_degraded": False,
        "items": [PLAIN_JSON],
    }


def test_similar_items_have_every_field() -> None:
    similar = SimilarItems(item_ids=("1",), items=(PLAIN,), model_name="films", model_version=3)

    assert json.loads(as_json.similar_items(similar)) == {
        "item_ids": ["1"],
        "model_name": "films",
        "model_version": 3,
        "is_short": False,
        "unknown_item_count": 0,
        "unknown_excluded_count": 0,
        "items": [PLAIN_JSON],
    }


def test_recorded_events_have_both_counts() -> None:
    recorded = RecordedEvents(recorded_count=2, duplicate_count=1)

    assert json.loads(as_json.recorded_events(recorded)) == {
        "recorded_count": 2,
        "duplicate_count": 1,
    }


def test_models_have_every_field() -> None:
    model = ModelVersion(
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
        create_time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        load_time=None,
        max_k=500,
        labels=("stable",),
    )

    (written,) = json.loads(as_json.models([model]))["models"]

    assert list(written) == list(ModelVersion.__dataclass_fields__)
    assert written["state"] == "serving"
    assert written["create_time"] == "2026-01-02T03:04:05+00:00"
    assert written["load_time"] is None
    assert (written["labels"], written["golden_overlap"]) == (["stable"], None)


def test_health_names_what_was_asked() -> None:
    assert json.loads(as_json.health("a.B", HealthStatus.NOT_SERVING)) == {
        "service": "a.B",
        "status": "not_serving",
    }
