import pytest

from recserve_client import (
    Contribution,
    Explanation,
    FallbackReason,
    HealthStatus,
    RankedItems,
    Recommendation,
    RecommendationSource,
    RecordedEvents,
    ScoredItem,
    SimilarItems,
)
from recserve_client._cli import as_text

BY_HISTORY = Explanation(
    contributions=(Contribution("1", "Alien", 0.314), Contribution("2", "", -0.05)),
    is_exact=True,
)


def personal(*items: ScoredItem, **changes) -> Recommendation:
    fields = {
        "user_id": "42",
        "source": RecommendationSource.USER_ID,
        "fallback_reason": None,
        "model_name": "films",
        "model_version": 3,
    }
    return Recommendation(items=items, **(fields | changes))


def popular(**changes) -> dict[str, object]:
    return {
        "source": RecommendationSource.POPULARITY,
        "fallback_reason": FallbackReason.NOTHING_KNOWN,
    } | changes


def test_a_personal_ranking_is_a_header_and_an_aligned_table() -> None:
    text = as_text.recommendation(
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
    text = as_text.recommendation(
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
    assert as_text.recommendation(personal()).splitlines()[-1] == "no items"


def test_several_rankings_are_blocks_with_an_empty_line_between() -> None:
    one = personal(ScoredItem("50", 4.5, "Star Wars"))
    block = as_text.recommendation(one)

    assert as_text.recommendations([one, personal()]) == (
        f"{block}\n\nuser 42, model films version 3, source user_id\nno items"
    )


def test_control_characters_of_a_title_do_not_reach_the_terminal() -> None:
    text = as_text.recommendation(personal(ScoredItem("1", 1.0, "\x1b[31mred\nline")))

    assert text.endswith("?[31mred?line")


def test_health_names_what_was_asked() -> None:
    assert as_text.health("", HealthStatus.SERVING) == "server: serving"
    assert as_text.health("a.B", HealthStatus.NOT_SERVING) == "a.B: not_serving"


def test_a_ranking_for_nobody_named_has_no_user_in_its_header() -> None:
    text = as_text.recommendation(personal(user_id="", source=RecommendationSource.HISTORY))

    assert text.splitlines()[0] == "model films version 3, source history"


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"is_short": True}, "fewer items than wanted: no more are eligible"),
        (
            {"is_degraded": True},
            "recorded events were not used: they could not be looked up in time",
        ),
        (
            {"unknown_history_count": 1},
            "passed over, since the model does not know it: 1 item of the history",
        ),
        (
            {"unknown_history_count": 2},
            "passed over, since the model does not know them: 2 items of the history",
        ),
        (
            {"unknown_excluded_count": 2},
            "passed over, since the model does not know them: 2 excluded items",
        ),
        (popular(), "popular items: the model knows nothing of what was told of who asks"),
        (
            popular(fallback_reason=FallbackReason.NO_QUERY_TOWER),
            "popular items: the model takes known users only, no history or features",
        ),
        (
            popular(fallback_reason=None),
            "popular items: the server gave the reason none",
        ),
    ],
)
def test_what_is_out_of_the_ordinary_is_noted_in_a_line(fields, note) -> None:
    text = as_text.recommendation(personal(ScoredItem("50", 4.5, "Star Wars"), **fields))

    assert text.splitlines()[1:3] == [note, ""]


def test_scores_that_only_some_items_have_get_columns_of_their_own() -> None:
    text = as_text.recommendation(
        personal(
            ScoredItem("50", 14.5, "Star Wars", retrieval_score=0.5, percentile=99.96),
            ScoredItem("172", 4.25, "Amélie", percentile=0.0),
        )
    )

    assert text.splitlines()[2:] == [
        "RANK  ITEM    SCORE  RETRIEVAL  PERCENTILE  TITLE",
        "   1  50    14.5000     0.5000       100.0  Star Wars",
        "   2  172    4.2500                    0.0  Amélie",
    ]


def test_attributes_and_reasons_stand_below_their_item() -> None:
    attributes = {"genres": ("Sci-Fi", "War"), "year": 1977.0}
    text = as_text.recommendation(
        personal(
            ScoredItem("50", 4.5, "Star Wars", attributes=attributes, explanation=BY_HISTORY),
            ScoredItem("172", 4.25, "Amélie", explanation=Explanation(is_popular=True)),
        )
    )

    assert text.splitlines()[2:] == [
        "RANK  ITEM   SCORE  TITLE",
        "   1  50    4.5000  Star Wars",
        "      genres: Sci-Fi, War; year: 1977",
        "      because of: Alien (+0.31), 2 (-0.05)",
        "   2  172   4.2500  Amélie",
        "      popular",
    ]


@pytest.mark.parametrize(
    ("explanation", "line"),
    [
        (Explanation(), "no reason known"),
        (
            Explanation(contributions=(Contribution("1", "Alien", 0.5),), is_exact=False),
            "because of: Alien (about +0.50)",
        ),
        (
            Explanation(
                contributions=(Contribution("1", "Alien", 0.5),),
                is_exact=True,
                shared_attributes={"genres": ("Sci-Fi", "Horror"), "year": 1979.0},
            ),
            "because of: Alien (+0.50); shared genres: Sci-Fi, Horror; year: 1979",
        ),
        (
            Explanation(contributions=(Contribution("1", "\x1b[31m", 0.5),), is_exact=True),
            "because of: ?[31m (+0.50)",
        ),
    ],
)
def test_a_reason_is_one_line(explanation, line) -> None:
    text = as_text.recommendation(personal(ScoredItem("50", 1.0, "", explanation=explanation)))

    assert text.splitlines()[-1] == f"      {line}"


def test_ranked_items_name_those_that_the_model_does_not_know() -> None:
    ranked = RankedItems(
        user_id="42",
        items=(ScoredItem("50", 583.0, "Star Wars"),),
        source=RecommendationSource.POPULARITY,
        fallback_reason=FallbackReason.UNKNOWN_USER,
        model_name="films",
        model_version=3,
        unknown_item_ids=("9999", "a\nb"),
    )

    assert as_text.ranked_items(ranked).splitlines() == [
        "user 42, model films version 3, source popularity",
        "popular items: the model does not know user 42",
        "left out, since the model does not know them: 9999, a?b",
        "",
        "RANK  ITEM  SCORE  TITLE",
        "   1  50      583  Star Wars",
    ]


def test_similar_items_name_the_given_ones() -> None:
    similar = SimilarItems(
        item_ids=("1", "2"),
        items=(ScoredItem("50", 0.75, "Star Wars"),),
        model_name="films",
        model_version=3,
        is_short=True,
        unknown_item_count=1,
        unknown_excluded_count=2,
    )

    assert as_text.similar_items(similar).splitlines() == [
        "similar to 1, 2, model films version 3",
        "passed over, since the model does not know it: 1 given item",
        "passed over, since the model does not know them: 2 excluded items",
        "fewer items than wanted: no more are eligible",
        "",
        "RANK  ITEM   SCORE  TITLE",
        "   1  50    0.7500  Star Wars",
    ]


def test_recorded_events_are_one_line() -> None:
    recorded = RecordedEvents(recorded_count=2, duplicate_count=1)

    assert as_text.recorded_events(recorded) == "2 recorded, 1 recorded before"
