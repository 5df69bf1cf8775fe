"""Structured logs on standard error: JSON lines, or text on a terminal.

What a record says may come from anybody: a model's name in a request, the text of an exception. So
whatever would start a line, move the cursor or turn the direction of writing is escaped, and what
is long is cut.
"""

import datetime
import json
import logging
import math
import sys
from typing import Final

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_LONGEST_TEXT: Final = 2000
_LONGEST_EXCEPTION: Final = 8000
_OURS: Final = "recserve_server"


def configure_logging(level: str, log_format: str) -> None:
    """Sends records of `level` (a name of `logging`) and above to standard error.

    `log_format` is `json`, `text`, or `auto`: text on a terminal, else JSON.
    """
    handler = logging.StreamHandler(sys.stderr)
    as_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    handler.addFilter(_is_of_interest)
    least = logging.getLevelNamesMapping()[level.upper()]
    # Libraries write what they send and receive, tokens included, at the level of debugging.
    logging.basicConfig(level=max(least, logging.INFO), handlers=[handler], force=True)
    logging.getLogger(_OURS).setLevel(least)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def _is_of_interest(record: logging.LogRecord) -> bool:
    """Leaves out what gRPC says, with a traceback, of each caller that left before its answer."""
    kind = record.exc_info[0] if record.exc_info else None
    return not (record.name.startswith("grpc") and kind and kind.__name__ == "ExecuteBatchError")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, then the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Formats a record; nothing in it can start a second line."""
        time = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        fields: dict[str, object] = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _cut(record.getMessage(), _LONGEST_TEXT),
            **{name: _for_json(value) for name, value in _extra(record).items()},
        }
        if record.exc_info:
            fields["exception"] = _cut(self.formatException(record.exc_info), _LONGEST_EXCEPTION)
        return _escaped(json.dumps(fields, default=_cut_text_of, ensure_ascii=False))


class TextFormatter(logging.Formatter):
    """For a person: time, level, message, fields as name=value; exceptions in indented lines."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """Appends the record's own fields to its line."""
        record.message = _cut(record.message, _LONGEST_TEXT)
        fields = (
            f" {name}={_cut(repr(value), _LONGEST_TEXT)}" for name, value in _extra(record).items()
        )
        return _escaped(super().formatMessage(record) + "".join(fields))

    def formatException(self, ei: "logging._SysExcInfoType") -> str:  # noqa: N802  # logging's name
        """Indents each line: an exception's text may look like the next record's line."""
        lines = _cut(super().formatException(ei), _LONGEST_EXCEPTION).split("\n")
        return "\n".join(f"  | {_escaped(line)}" for line in lines)


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _for_json(value: object) -> object:
    if isinstance(value, str):
        return _cut(value, _LONGEST_TEXT)
    # JSON has no such numbers; Python would write them nevertheless.
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _cut_text_of(value: object) -> str:
    return _cut(str(value), _LONGEST_TEXT)


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    # The beginning says what, the end of an exception why.
    half = longest // 2
    return f"{text[:half]} ... {len(text) - longest} characters ... {text[-half:]}"


def _escaped(text: str) -> str:
    r"""Returns the text with all that does not print as `\uXXXX`, which JSON reads back."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escape(each) for each in text)


def _escape(character: str) -> str:
    return json.dumps(character).strip('"') if character != "\x7f" else "\\u007f"
