import json
from datetime import UTC, datetime

from recserve_client import (
    FallbackReason,
    HealthStatus,
    ModelState,
    ModelVersion,
    Recommendation,
    RecommendationSource,
    ScoredItem,
    _cli_format,
)


def personal(*items: ScoredItem) -> Recommendation:
    return Recommendation(
        user_id="42",
        items=items,
        source=RecommendationSource.USER_ID,
        fallback_reason=None,
        model_name="films",
        model_version=3,
    )


def model(**changes) -> ModelVersion:
    fields = {
        "name": "films",
        "version": 3,
        "state": ModelState.SERVING,
        "state_message": "",
        "kind": "collaborative",
        "index": "exact",
        "user_count": 943,
        "item_count": 1682,
        "embedding_dimension": 32,
        "dataset": "ml-100k",
        "test_metrics": {"recall@10": 0.25},
        "create_time": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "load_time": None,
        "max_k": 500,
    }
    return ModelVersion(**(fields | changes))


def test_a_personal_ranking_is_a_header_and_an_aligned_table() -> None:
    text = _cli_format.recommendation_text(
        personal(ScoredItem("50", 14.5, "Star Wars (1977)"), ScoredItem("1722", 4.25, "Amélie"))
    )

    assert text.splitlines() == [
        "user 42, model films version 3, source user_id",
        "",
        "RANK  ITEM    SCORE  TITLE",
        "   1  50    14.5000  Star Wars (1977)",
        "   2  1722   4.2500  Amélie",
    ]


def test_a_popular_ranking_says_why_and_counts_in_whole_numbers() -> None:
    text = _cli_format.recommendation_text(
        Recommendation(
            user_id="9999",
            items=(ScoredItem("50", 583.0, "Star Wars"),),
            source=RecommendationSource.POPULARITY,
            fallback_reason=FallbackReason.UNKNOWN_USER,
            model_name="films",
            model_version=3,
        )
    )

    assert text.splitlines() == [
        "user 9999, model films version 3, source popularity",
        "popular items: the model does not know user 9999",
        "",
        "RANK  ITEM  SCORE  TITLE",
        "   1  50      583  Star Wars",
    ]


def test_no_items_are_said_to_be_none() -> None:
    assert _cli_format.recommendation_text(personal()).splitlines()[-1] == "no items"


def test_several_rankings_are_blocks_with_an_empty_line_between() -> None:
    one = personal(ScoredItem("50", 4.5, "Star Wars"))
    block = _cli_format.recommendation_text(one)

    assert _cli_format.recommendations_text([one, personal()]) == (
        f"{block}\n\nuser 42, model films version 3, source user_id\nno items"
    )


def test_several_rankings_as_json_are_an_array_of_the_objects_of_one() -> None:
    one = personal(ScoredItem("50", 4.5, "Star Wars"))
    alone = json.loads(_cli_format.recommendation_json(one))

    assert json.loads(_cli_format.recommendations_json([one, one])) == [alone, alone]


def test_control_characters_of_a_title_do_not_reach_the_terminal() -> None:
    text = _cli_format.recommendation_text(personal(ScoredItem("1", 1.0, "\x1b[31mred\nline")))

    assert text.endswith("?[31mred?line")


def test_models_are_a_table_and_a_refused_one_tells_why() -> None:
    refused = model(
        version=12, state=ModelState.REFUSED, state_message="bad index", create_time=None
    )

    assert _cli_format.models_text([model(), refused]).splitlines() == [
        "NAME   VERSION  STATE    KIND           INDEX  USERS  ITEMS  CREATED            NOTE",
        "films        3  serving  collaborative  exact    943   1682  2026-01-02 03:04Z",
        "films       12  refused  collaborative  exact    943   1682                     bad index",
    ]  # fmt: skip


def test_no_models_are_said_to_be_none() -> None:
    assert _cli_format.models_text([]) == "the server has no models"


def test_models_as_json_have_every_field() -> None:
    (written,) = json.loads(_cli_format.models_json([model()]))["models"]

    assert list(written) == list(ModelVersion.__dataclass_fields__)
    assert written["state"] == "serving"
    assert written["create_time"] == "2026-01-02T03:04:05+00:00"
    assert written["load_time"] is None


def test_health_names_what_was_asked() -> None:
    assert _cli_format.health_text("", HealthStatus.SERVING) == "server: serving"
    assert _cli_format.health_text("a.B", HealthStatus.NOT_SERVING) == "a.B: not_serving"
