import json

import pytest
from request_calls import call, recommended

from recserve.v1 import feedback_service_pb2 as feedback_pb
from recserve.v1 import model_service_pb2
from recserve.v1 import recommendation_service_pb2 as pb
from recserve_server.batching.terms import Timing
from recserve_server.calls.call import Call, Ended
from recserve_server.observing.log_lines import Entry, line_of

TIME_S = 1_767_225_600.25
SECRETS = ("user-42", "film-7", "film-8", "film-9", "Thriller", "age", "A film")


def fields_of(call: Call, ended: Ended, *, is_personal: bool = False) -> dict[str, object]:
    line = line_of(Entry(TIME_S, call, ended), is_personal=is_personal)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    return json.loads(line)


def personal_request() -> pb.RecommendRequest:
    return pb.RecommendRequest(
        user_id="user-42",
        k=5,
        history=[pb.HistoryEntry(item_id="film-7", rating=4.5)],
        features=[pb.UserFeature(name="age", number=44)],
        excluded_item_ids=["film-8", "film-9"],
        filters=[pb.Filter(attribute="genre", any=pb.TextValues(values=["Thriller"]))],
    )


def test_a_line_tells_the_call_its_batch_and_its_answer_in_counts() -> None:
    timing = Timing(enqueued_s=10.0, started_s=10.004, finished_s=10.01, batch_size=7)
    ended = recommended(personal_request(), "film-1", "film-2")

    assert fields_of(call(timing=timing), ended) == {
        "time": "2026-01-01T00:00:00.250000+00:00",
        "method": "Recommend",
        "request_id": "r1",
        "caller": "web",
        "code": "OK",
        "outcome": "OK",
        "duration_ms": 12.3,
        "queue_ms": 4.0,
        "batch_size": 7,
        "question_count": 1,
        "k": 5,
        "history_count": 1,
        "feature_count": 1,
        "excluded_count": 2,
        "filter_count": 1,
        "model": "films",
        "version": 3,
        "item_count": 2,
        "sources": ["user_id"],
        "fallbacks": [],
    }


def test_nobodys_ids_are_told_unless_they_are_wanted() -> None:
    ended = recommended(personal_request(), "film-1")

    line = line_of(Entry(TIME_S, call(), ended), is_personal=False).decode()
    personal = line_of(Entry(TIME_S, call(), ended), is_personal=True).decode()

    assert [secret for secret in SECRETS if secret in line] == []
    assert [secret for secret in SECRETS if secret not in personal] == ["A film"]


def test_a_personal_line_has_the_request_and_the_items() -> None:
    fields = fields_of(call(), recommended(personal_request(), "film-1"), is_personal=True)

    assert fields["request"]["user_id"] == "user-42"
    assert fields["request"]["history"] == [{"item_id": "film-7", "rating": 4.5}]
    assert fields["items"] == [[["film-1", 0.5]]]


def test_a_batch_is_one_line_that_adds_up_its_answers() -> None:
    answers = [
        pb.RecommendResponse(
            items=[pb.ScoredItem(item_id="film-1")] * count,
            model_name="films",
            model_version=3,
            source=source,
            fallback_reason=reason,
        )
        for count, source, reason in (
            (3, pb.RECOMMENDATION_SOURCE_HISTORY, pb.FALLBACK_REASON_UNSPECIFIED),
            (2, pb.RECOMMENDATION_SOURCE_POPULARITY, pb.FALLBACK_REASON_UNKNOWN_USER),
        )
    ]
    ended = Ended(
        request=pb.BatchRecommendRequest(
            requests=[pb.RecommendRequest(k=3), pb.RecommendRequest(k=2)]
        ),
        response=pb.BatchRecommendResponse(responses=answers),
    )

    fields = fields_of(call("BatchRecommend"), ended)

    assert (fields["question_count"], fields["k"], fields["item_count"]) == (2, 3, 5)
    assert fields["sources"] == ["history", "popularity"]
    assert fields["fallbacks"] == ["unknown_user"]


def test_similar_and_ranked_items_are_told_too() -> None:
    similar = Ended(
        request=pb.FindSimilarItemsRequest(item_ids=["film-1", "film-2"], k=4),
        response=pb.FindSimilarItemsResponse(model_name="films", model_version=3),
    )
    ranked = Ended(
        request=pb.RankItemsRequest(item_ids=["film-1"]),
        response=pb.RankItemsResponse(model_name="films", model_version=3),
    )

    of_similar, of_ranked = fields_of(call(), similar), fields_of(call(), ranked)

    assert (of_similar["k"], of_similar["given_item_count"], of_similar["sources"]) == (4, 2, [])
    assert of_ranked["given_item_count"] == 1
    assert "k" not in of_ranked


@pytest.mark.parametrize(
    "ended",
    [
        Ended("INVALID_ARGUMENT", "MALFORMED_MESSAGE"),
        Ended("CANCELLED", "CANCELLED", request=pb.RecommendRequest(user_id="user-42")),
        Ended(request=model_service_pb2.GetModelRequest(name="films")),
    ],
)
@pytest.mark.parametrize("is_personal", [False, True])
def test_what_has_no_answer_has_no_fields_of_one(ended: Ended, is_personal: bool) -> None:
    fields = fields_of(call(), ended, is_personal=is_personal)

    assert fields["outcome"] == ended.outcome
    assert "model" not in fields
    assert fields.get("items", []) == []


def test_recorded_events_are_counted() -> None:
    events = [feedback_pb.Event(user_id="user-42", item_id="film-7")] * 3
    ended = Ended(request=feedback_pb.RecordEventsRequest(events=events))

    fields = fields_of(call(), ended)

    assert fields["event_count"] == 3
    assert "user-42" not in json.dumps(fields)


def test_nothing_that_a_caller_sends_begins_a_line_or_leaves_ascii() -> None:
    request = pb.RecommendRequest(user_id='a\n{"forged": 1}\u2028\x1b[31m')

    line = line_of(Entry(TIME_S, call(), recommended(request)), is_personal=True)

    assert line.isascii()
    assert line.decode().splitlines() == [line.decode().rstrip("\n")]
    assert b"\x1b" not in line
