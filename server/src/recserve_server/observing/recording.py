"""Turns a personal request log into a recording that `recserve loadtest --replay` reads.

    python -m recserve_server.observing.recording requests.log.2 requests.log.1 requests.log

It goes to standard output: the reads of the log, in the order in which they began, with what they
asked. Answers are left out, and so are lines that were torn by a full disk.
"""

import argparse
import datetime
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

_READS: Final = frozenset({"Recommend", "BatchRecommend", "FindSimilarItems", "RankItems"})


def recording_of(lines: Iterable[str]) -> Iterator[str]:
    """Yields a recording's lines.

    Args:
        lines: those of one or more request logs, in any order.

    Raises:
        ValueError: a call's line does not tell what was asked.
    """
    calls = sorted(_calls(lines), key=lambda call: call[0])
    for begun_s, method, request in calls:
        at_s = round(begun_s - calls[0][0], 6)
        yield json.dumps({"at_s": at_s, "method": method, "request": request})


def _calls(lines: Iterable[str]) -> Iterator[tuple[float, str, dict[str, Any]]]:
    for line in lines:
        try:
            fields = json.loads(line)
            method = fields["method"]
            ended_s = datetime.datetime.fromisoformat(fields["time"]).timestamp()
            begun_s = ended_s - fields["duration_ms"] / 1000
        except (ValueError, TypeError, KeyError):
            continue
        if method not in _READS:
            continue
        if "request" not in fields:
            raise ValueError(
                f"call {fields.get('request_id')} has no request: "
                "the log must be written with --request-log-personal"
            )
        yield begun_s, method, fields["request"]


def main(argv: Sequence[str] | None = None) -> int:
    """Converts files; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m recserve_server.observing.recording",
        description="Turns request logs into a recording for `recserve loadtest --replay`.",
    )
    parser.add_argument("logs", nargs="+", type=Path, metavar="FILE", help="request logs")
    arguments = parser.parse_args(argv)
    try:
        for line in recording_of(_lines(arguments.logs)):
            print(line)
    except (OSError, ValueError) as error:
        print(f"recording: {error}", file=sys.stderr)
        return 1
    return 0


def _lines(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        with path.open(encoding="utf-8", errors="replace") as lines:
            yield from lines


if __name__ == "__main__":
    sys.exit(main())
