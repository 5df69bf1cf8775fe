"""The command line recording events."""

import io
import json
from datetime import UTC, datetime

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2 as details_pb

from recserve.v1 import feedback_service_pb2 as feedback_pb
from recserve_client.__main__ import main

ONE = ["--user", "42", "--item", "50", "--type"]


@pytest.fixture(autouse=True)
def _environ(server, monkeypatch):
    monkeypatch.setenv("RECSERVE_TARGET", server.target)


@pytest.fixture
def file(tmp_path):
    """Writes a file of lines and returns its path."""

    def write(*lines: str | dict[str, object]) -> str:
        path = tmp_path / "events.jsonl"
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        return str(path)

    return write


def like(**changes) -> dict[str, object]:
    return {"user_id": "42", "item_id": "50", "type": "like"} | changes


def sent(server) -> list[feedback_pb.Event]:
    return [event for request in server.requests for event in request.events]


def test_one_event_is_recorded_and_counted(server, capsys) -> None:
    assert main(["events", *ONE, "rating", "--rating", "-4.5", "--event-id", "e-1"]) == 0

    assert capsys.readouterr() == ("1 recorded, 0 recorded before\n", "")
    assert sent(server) == [
        feedback_pb.Event(
            event_id="e-1",
            user_id="42",
            item_id="50",
            type=feedback_pb.EVENT_TYPE_RATING,
            rating=-4.5,
        )
    ]


def test_an_event_without_an_id_gets_one(server) -> None:
    assert main(["events", *ONE, "view"]) == 0
    assert main(["events", *ONE, "view"]) == 0

    first, second = sent(server)
    assert first.event_id != second.event_id


def test_counts_are_printed_as_json(capsys) -> None:
    assert main(["events", *ONE, "like", "--json"]) == 0

    assert json.loads(capsys.readouterr().out) == {"recorded_count": 1, "duplicate_count": 0}


def test_a_file_has_an_event_per_line_and_may_have_empty_ones(server, file, capsys) -> None:
    path = file(
        like(event_id="e-1"),
        "",
        like(type="rating", rating=4, time="2026-01-31T12:00:00+02:00", item_id="Amélie"),
    )

    assert main(["events", "--file", path]) == 0

    assert capsys.readouterr().out == "2 recorded, 0 recorded before\n"
    first, second = sent(server)
    assert first == feedback_pb.Event(
        event_id="e-1", user_id="42", item_id="50", type=feedback_pb.EVENT_TYPE_LIKE
    )
    assert (second.item_id, second.rating) == ("Amélie", 4.0)
    noon = datetime(2026, 1, 31, 10, tzinfo=UTC)
    assert second.time == Timestamp(seconds=int(noon.timestamp()))


def test_a_long_file_is_sent_in_calls_of_a_thousand_and_counted_together(
    server, file, capsys
) -> None:
    server.handle_record_events = lambda request, context: feedback_pb.RecordEventsResponse(
        recorded_count=len(request.events) - 1, duplicate_count=1
    )

    assert main(["events", "--file", file(*[like()] * 2001)]) == 0

    assert [len(request.events) for request in server.requests] == [1000, 1000, 1]
    assert capsys.readouterr().out == "1998 recorded, 3 recorded before\n"


def test_a_dash_reads_the_standard_input(server, monkeypatch, capsys) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(json.dumps(like()).encode()))
    monkeypatch.setattr("sys.stdin", stdin)

    assert main(["events", "--file", "-"]) == 0

    assert len(sent(server)) == 1
    assert capsys.readouterr().out == "1 recorded, 0 recorded before\n"


def test_an_empty_file_records_nothing(server, file, capsys) -> None:
    assert main(["events", "--file", file()]) == 0

    assert server.requests == []
    assert capsys.readouterr().out == "0 recorded, 0 recorded before\n"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "is no JSON: "),
        ("[]", "is a list, must be an object"),
        (like(colour="red"), "has 'colour', must have only user_id, item_id, type, rating, time"),
        ({"user_id": "42"}, "has no item_id, must have user_id, item_id, type"),
        (like(user_id=42), "user_id is 42, must be a text"),
        (like(item_id=None), "item_id is null, must be a text"),
        (like(event_id=7), "event_id is 7, must be a text"),
        (like(type="stare"), 'type is "stare", must be one of view, click, like, rating'),
        (like(type=["like"]), 'type is ["like"], must be one of view, click, like, rating'),
        (like(rating="4"), 'rating is "4", must be a number'),
        (like(rating=True), "rating is true, must be a number"),
        (like(time="2026-01-31T12:00:00"), 'time is "2026-01-31T12:00:00", must be ISO 8601 with'),
        (like(time="noon"), 'time is "noon", must be ISO 8601 with a zone, as in 2026-01-31T12:00'),
        (like(time=1769860800), "time is 1769860800, must be ISO 8601 with a zone"),
    ],
)
def test_a_line_that_is_no_event_is_named_and_nothing_of_its_call_is_sent(
    server, file, capsys, line, complaint
) -> None:
    assert main(["events", "--file", file(like(), "", line)]) == 1

    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"recserve: line 3: {complaint}")
    assert captured.err.count("\n") == 1
    assert server.requests == []


def test_a_line_that_is_not_utf8_is_named(tmp_path, capsys) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{"user_id": "\xff"}\n')

    assert main(["events", "--file", str(path)]) == 1
    assert capsys.readouterr().err.startswith("recserve: line 1: is no JSON: ")


def test_a_bad_line_far_down_says_what_was_recorded_before_it(server, file, capsys) -> None:
    assert main(["events", "--file", file(*[like()] * 1500, "{}")]) == 1

    assert capsys.readouterr().err == (
        "recserve: line 1501: has no user_id, must have user_id, item_id, type; "
        "the events up to line 1000 are recorded\n"
    )
    assert len(sent(server)) == 1000


def test_a_refused_call_names_its_lines_and_what_was_recorded_before(server, file, capsys) -> None:
    def refuse_the_second(request, context):
        if len(server.requests) == 2:
            context.abort(grpc.StatusCode.INTERNAL, "the store failed")
        return feedback_pb.RecordEventsResponse(recorded_count=len(request.events))

    server.handle_record_events = refuse_the_second

    assert main(["events", "--file", file("", *[like()] * 1500)]) == 1
    assert capsys.readouterr() == (
        "",
        "recserve: lines 1002 to 1501: the store failed; the events up to line 1001 are recorded\n",
    )


def test_a_file_that_cannot_be_read_is_one_line(tmp_path, capsys) -> None:
    path = tmp_path / "none.jsonl"

    assert main(["events", "--file", str(path)]) == 1
    assert capsys.readouterr().err == f"recserve: cannot read {path}: No such file or directory\n"


def test_a_server_without_a_store_is_one_line(server, capsys) -> None:
    server.fail(
        grpc.StatusCode.FAILED_PRECONDITION,
        "the server has no store of events",
        details_pb.ErrorInfo(reason="EVENTS_DISABLED"),
    )

    assert main(["events", *ONE, "like"]) == 1
    assert capsys.readouterr() == ("", "recserve: the server has no store of events\n")
