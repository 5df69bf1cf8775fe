import json
import logging
import subprocess
import sys

import pytest

from recserve_server.logs import JsonFormatter, TextFormatter

# What starts a line, moves a terminal's cursor or hides text: line ends of all kinds, escape
# sequences of one and of two bytes, backspace, delete, a zero-width space, changes of direction, a
# lone surrogate, a noncharacter beyond the first 65,536.
HOSTILE = [
    *("\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029", "\x00", "\x1b[2J"),
    *("\x9b2J", "\b", "\x7f", "\u200b", "\u202e", "\u2066", "\u061c", "\ufeff", "\ud800"),
    "\U0001fffe",
]


def record(message: str, **fields: object) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "levelname": "INFO", "name": "n", **fields})


def failed(error: Exception) -> logging.LogRecord:
    try:
        raise error
    except Exception as raised:
        return record("failed", exc_info=(type(raised), raised, raised.__traceback__))


class Shown:
    """Something whose text anybody may have chosen."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def test_a_json_line_holds_the_message_and_every_field() -> None:
    line = json.loads(JsonFormatter().format(record("call", request_id="r1", duration_ms=1.5)))

    assert line["message"] == "call"
    assert (line["request_id"], line["duration_ms"]) == ("r1", 1.5)
    assert line["time"].endswith("+00:00")


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_whatever_a_json_line_says_is_printable_and_reads_back(text: str) -> None:
    said = f"a{text}b"

    line = JsonFormatter().format(record(said, field=said, shown=Shown(said)))

    assert line.isprintable()
    read = json.loads(line)
    assert (read["message"], read["field"], read["shown"]) == (said, said, said)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_whatever_a_line_of_text_says_is_printable(text: str) -> None:
    said = f"a{text}b"

    assert TextFormatter().format(record(said, field=said, shown=Shown(said))).isprintable()


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_an_exception_in_text_has_no_line_that_could_be_another_records(text: str) -> None:
    first, *others = (
        TextFormatter().format(failed(ValueError(f"a{text}00:00:00 INFO b"))).split("\n")
    )

    assert first.endswith("failed")
    assert others
    for line in others:
        assert line.startswith("  | ")
        assert line.isprintable()


def test_an_exception_stays_in_its_json_line() -> None:
    line = JsonFormatter().format(failed(ValueError("bro\nken")))

    assert "\n" not in line
    assert "ValueError: bro\nken" in json.loads(line)["exception"]


def test_words_of_other_languages_stay_as_they_are() -> None:
    said = "Amélie 東京 🎬"

    assert said in JsonFormatter().format(record(said))
    assert said in TextFormatter().format(record(said))


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()], ids=["json", "text"])
def test_what_is_long_is_cut_but_for_its_ends(formatter: logging.Formatter) -> None:
    long = f"begin{'x' * 100_000}end"

    for entry in (record(long), record("m", field=long), failed(ValueError(long))):
        line = formatter.format(entry)
        assert len(line) < 10_000
        assert "end" in line


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_has_not_are_texts(number: float) -> None:
    line = JsonFormatter().format(record("m", number=number))

    assert json.loads(line, parse_constant=pytest.fail)["number"] == str(number)


def test_text_names_the_fields() -> None:
    assert TextFormatter().format(record("call", k=3)).endswith("INFO    call k=3")


def test_only_what_is_ours_is_logged_in_debug() -> None:
    program = (
        "import logging; from recserve_server.logs import configure_logging\n"
        "configure_logging('debug', 'json')\n"
        "logging.getLogger('recserve_server.calls').debug('ours')\n"
        "logging.getLogger('library').debug('theirs')\n"
        "logging.getLogger('library').info('told')\n"
    )

    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    messages = [json.loads(line)["message"] for line in ran.stderr.splitlines()]
    assert messages == ["ours", "told"]
