import json
import logging

from recserve_server.logs import JsonFormatter, TextFormatter


def record(message: str, **fields: object) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "levelname": "INFO", "name": "n", **fields})


def test_a_json_line_holds_the_message_and_every_field() -> None:
    line = json.loads(JsonFormatter().format(record("call", request_id="r1", duration_ms=1.5)))

    assert line["message"] == "call"
    assert (line["request_id"], line["duration_ms"]) == ("r1", 1.5)
    assert line["time"].endswith("+00:00")


def test_nothing_in_a_record_can_start_a_second_json_line() -> None:
    assert "\n" not in JsonFormatter().format(record("a\nb", field='c\n{"level": "ERROR"}'))


def test_an_exception_stays_in_its_line() -> None:
    try:
        raise ValueError("broken")
    except ValueError as error:
        entry = record("failed", exc_info=(ValueError, error, error.__traceback__))

    line = JsonFormatter().format(entry)

    assert "\n" not in line
    assert "ValueError: broken" in json.loads(line)["exception"]


def test_text_names_the_fields() -> None:
    assert TextFormatter().format(record("call", k=3)).endswith("INFO    call k=3")
