import dataclasses
from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2

from recserve.v1 import feedback_service_pb2 as feedback_pb
from recserve.v1 import model_service_pb2 as model_pb
from recserve.v1 import recommendation_service_pb2 as recommendation_pb
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
    ServerError,
    SimilarItems,
    _convert,
)

ASKED = recommendation_pb.RecommendRequest(user_id="42")


def test_a_personal_response_keeps_every_field() -> None:
    response = recommendation_pb.RecommendResponse(
        items=[recommendation_pb.ScoredItem(item_id="50", score=4.5, title="Star Wars")],
        source=recommendation_pb.RECOMMENDATION_SOURCE_USER_ID,
        model_name="films",
        model_version=2**53 + 1,
        is_short=True,
        unknown_excluded_count=1,
        unknown_history_count=2,
        is_degraded=True,
    )

    assert _convert.recommendation(ASKED, response) == Recommendation(
        user_id="42",
        items=(ScoredItem("50", 4.5, "Star Wars"),),
        source=RecommendationSource.USER_ID,
        fallback_reason=None,
        model_name="films",
        model_version=2**53 + 1,
        is_short=True,
        unknown_excluded_count=1,
        unknown_history_count=2,
        is_degraded=True,
    )


@pytest.mark.parametrize(
    ("ours", "message", "added"),
    [
        (Recommendation, recommendation_pb.RecommendResponse, {"user_id", "_request"}),
        (RankedItems, recommendation_pb.RankItemsResponse, {"user_id"}),
        (SimilarItems, recommendation_pb.FindSimilarItemsResponse, {"item_ids"}),
        (ScoredItem, recommendation_pb.ScoredItem, set()),
        (Explanation, recommendation_pb.Explanation, set()),
        (Contribution, recommendation_pb.Contribution, set()),
        (RecordedEvents, feedback_pb.RecordEventsResponse, set()),
    ],
)
def test_a_value_has_all_fields_of_its_message(ours, message, added) -> None:
    fields = {field.name for field in message.DESCRIPTOR.fields}

    assert {field.name for field in dataclasses.fields(ours)} == fields | added


def test_ranked_items_keep_every_field() -> None:
    request = recommendation_pb.RankItemsRequest(user_id="42")
    response = recommendation_pb.RankItemsResponse(
        items=[recommendation_pb.ScoredItem(item_id="50", score=4.5, title="Star Wars")],
        source=recommendation_pb.RECOMMENDATION_SOURCE_POPULARITY,
        fallback_reason=recommendation_pb.FALLBACK_REASON_NO_QUERY_TOWER,
        model_name="films",
        model_version=3,
        unknown_item_ids=["9", "8"],
        unknown_history_count=2,
        is_degraded=True,
    )

    assert _convert.ranked_items(request, response) == RankedItems(
        user_id="42",
        items=(ScoredItem("50", 4.5, "Star Wars"),),
        source=RecommendationSource.POPULARITY,
        fallback_reason=FallbackReason.NO_QUERY_TOWER,
        model_name="films",
        model_version=3,
        unknown_item_ids=("9", "8"),
        unknown_history_count=2,
        is_degraded=True,
    )


def test_similar_items_keep_every_field() -> None:
    request = recommendation_pb.FindSimilarItemsRequest(item_ids=["1", "2"])
    response = recommendation_pb.FindSimilarItemsResponse(
        items=[recommendation_pb.ScoredItem(item_id="50", score=0.5, title="Star Wars")],
        model_name="films",
        model_version=3,
        is_short=True,
        unknown_item_count=1,
        unknown_excluded_count=2,
    )

    assert _convert.similar_items(request, response) == SimilarItems(
        item_ids=("1", "2"),
        items=(ScoredItem("50", 0.5, "Star Wars"),),
        model_name="films",
        model_version=3,
        is_short=True,
        unknown_item_count=1,
        unknown_excluded_count=2,
    )


def test_a_fallback_names_its_reason(popular_response) -> None:
    ranking = _convert.recommendation(ASKED, popular_response)

    assert ranking.source is RecommendationSource.POPULARITY
    assert ranking.fallback_reason is FallbackReason.UNKNOWN_USER


def test_an_empty_response_converts() -> None:
    ranking = _convert.recommendation(ASKED, recommendation_pb.RecommendResponse())

    assert ranking.items == ()
    assert ranking.source is RecommendationSource.UNKNOWN


def test_the_answers_to_a_batch_belong_to_its_users_in_order() -> None:
    request = recommendation_pb.BatchRecommendRequest(
        requests=[recommendation_pb.RecommendRequest(user_id=user) for user in ("42", "7")]
    )
    response = recommendation_pb.BatchRecommendResponse(
        responses=[recommendation_pb.RecommendResponse(model_version=at) for at in (1, 2)]
    )

    rankings = _convert.recommendations(request, response)

    assert [(each.user_id, each.model_version) for each in rankings] == [("42", 1), ("7", 2)]


@pytest.mark.parametrize("answers", [0, 1, 3])
def test_answers_that_are_not_one_per_user_belong_to_nobody(answers) -> None:
    request = recommendation_pb.BatchRecommendRequest(
        requests=[recommendation_pb.RecommendRequest()] * 2
    )
    response = recommendation_pb.BatchRecommendResponse(
        responses=[recommendation_pb.RecommendResponse()] * answers
    )

    with pytest.raises(ServerError, match=f"{answers} answers for 2 users, must be one each"):
        _convert.recommendations(request, response)


def test_a_model_keeps_every_field_and_its_times_are_aware() -> None:
    model = model_pb.Model(
        name="films",
        version=3,
        state=model_pb.MODEL_STATE_SERVING,
        state_message="",
        kind="collaborative",
        index="exact",
        user_count=943,
        item_count=1682,
        embedding_dimension=32,
        dataset="ml-100k",
        test_metrics={"recall@10": 0.25},
        create_time=Timestamp(seconds=1_700_000_000),
        load_time=Timestamp(seconds=1_700_000_060, nanos=500_000_000),
        max_k=500,
        labels=["stable", "canary"],
        canary_percent=12.5,
        golden_overlap=0.0,
    )

    assert _convert.model_version(model) == ModelVersion(
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
        create_time=datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        load_time=datetime(2023, 11, 14, 22, 14, 20, 500_000, tzinfo=UTC),
        max_k=500,
        labels=("stable", "canary"),
        canary_percent=12.5,
        golden_overlap=0.0,
    )


def test_model_version_has_all_fields_of_the_message() -> None:
    ours = list(ModelVersion.__dataclass_fields__)

    assert ours == [field.name for field in model_pb.Model.DESCRIPTOR.fields]


def test_what_a_model_does_not_tell_is_none() -> None:
    model = _convert.model_version(model_pb.Model(name="films", version=3))

    assert (model.create_time, model.load_time, model.golden_overlap) == (None, None, None)
    assert (model.labels, model.canary_percent) == ((), 0.0)


def test_numbers_of_a_newer_contract_become_unknown() -> None:
    response = recommendation_pb.RecommendResponse.FromString(
        recommendation_pb.RecommendResponse(source=77, fallback_reason=78).SerializeToString()
    )
    ranking = _convert.recommendation(ASKED, response)

    assert ranking.source is RecommendationSource.UNKNOWN
    assert ranking.fallback_reason is FallbackReason.UNKNOWN
    assert _convert.model_version(model_pb.Model(state=79)).state is ModelState.UNKNOWN
    assert _convert.health_status(80) is HealthStatus.UNKNOWN


@pytest.mark.parametrize(
    ("enum", "table"),
    [
        (recommendation_pb.RecommendationSource, _convert._SOURCES),
        (recommendation_pb.FallbackReason, _convert._FALLBACK_REASONS),
        (model_pb.ModelState, _convert._MODEL_STATES),
    ],
)
def test_every_value_of_the_contract_has_a_name_of_ours(enum, table) -> None:
    prefix = enum.keys()[0].removesuffix("UNSPECIFIED")
    contract = {
        number: name.removeprefix(prefix).lower() for name, number in enum.items() if number != 0
    }

    assert {number: value for number, value in table.items() if number != 0} == contract


def test_health_numbers_are_those_of_the_standard() -> None:
    standard = health_pb2.HealthCheckResponse.ServingStatus.items()

    assert {name.lower(): _convert.health_status(number) for name, number in standard} == {
        "unknown": HealthStatus.UNKNOWN,
        "serving": HealthStatus.SERVING,
        "not_serving": HealthStatus.NOT_SERVING,
        "service_unknown": HealthStatus.SERVICE_UNKNOWN,
    }
