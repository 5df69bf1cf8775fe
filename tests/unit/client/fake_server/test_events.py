import datetime

import pytest

from recserve_client import (
    Event,
    EventType,
    FallbackReason,
    InvalidRequestError,
    RecommendationSource,
)

LIKE = Event("ann", "et", EventType.LIKE)


def ids(ranking) -> list[str]:
    return [item.item_id for item in ranking]


def test_events_are_kept_as_they_were_sent(server, ask) -> None:
    noon = datetime.datetime(2025, 5, 1, 12, tzinfo=datetime.UTC)
    rating = Event("ann", "duck", EventType.RATING, rating=4.5, time=noon)

    answer = ask("record_events", [LIKE, rating])

    assert (answer.recorded_count, answer.duplicate_count) == (2, 0)
    assert server.events == (LIKE, rating)


def test_an_event_counts_once_however_often_it_is_sent(server, client) -> None:
    client.record_events([LIKE])
    again = client.record_events([LIKE, Event("ann", "duck", EventType.VIEW)])

    assert (again.recorded_count, again.duplicate_count) == (1, 1)
    assert len(server.events) == 2


@pytest.mark.parametrize("kind", [EventType.VIEW, EventType.CLICK, EventType.LIKE])
def test_items_of_events_count_as_seen(client, kind) -> None:
    client.record_events([Event("ann", "et", kind)])

    assert "et" not in ids(client.recommend("ann"))
    assert "et" in ids(client.recommend("ann", include_seen=True))
    assert "et" in ids(client.recommend("ben", include_seen=True))


def test_events_move_a_known_user(client) -> None:
    client.record_events([LIKE])

    assert client.recommend("ann").source is RecommendationSource.USER_ID_AND_HISTORY
    assert client.rank_items(["duck"], user_id="ann").source is (
        RecommendationSource.USER_ID_AND_HISTORY
    )


def test_events_make_a_stranger_known_unless_they_are_views(client) -> None:
    client.record_events(
        [Event("viewer", "et", EventType.VIEW), Event("clicker", "et", EventType.CLICK)]
    )

    assert client.recommend("viewer").fallback_reason is FallbackReason.UNKNOWN_USER
    assert "et" not in ids(client.recommend("viewer"))
    assert client.recommend("clicker").source is RecommendationSource.HISTORY


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (Event("", "et", EventType.LIKE), "events[1].user_id"),
        (Event("ann", "et", EventType.RATING), "events[1].rating"),
        (Event("ann", "et", EventType.LIKE, rating=1), "events[1].rating"),
        (
            Event(
                "ann", "et", EventType.LIKE, time=datetime.datetime(1960, 1, 1, tzinfo=datetime.UTC)
            ),
            "events[1].time",
        ),
    ],
)
def test_a_wrong_event_is_named_and_none_is_kept(server, client, wrong, field) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        client.record_events([LIKE, wrong])

    assert [each.field for each in caught.value.violations] == [field]
    assert server.events == ()
