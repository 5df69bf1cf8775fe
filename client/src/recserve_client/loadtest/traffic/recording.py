"""Calls read from a recording: a JSON object on each line.

    {"at_s": 0.012, "method": "Recommend", "request": {"user_id": "42", "k": 5}}

`request` is the protobuf message as JSON (https://protobuf.dev/programming-guides/json), `method` a
read of recserve.v1.RecommendationService, `Recommend` if it is left out, and `at_s`, the seconds
since the recording began, may be left out in all lines.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from google.protobuf import json_format
from google.protobuf.message import Message

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_client.loadtest.files import FileError, reading
from recserve_client.loadtest.plan import Question

_REQUESTS: Final[Mapping[str, type[Message]]] = {
    "Recommend": pb.RecommendRequest,
    "BatchRecommend": pb.BatchRecommendRequest,
    "FindSimilarItems": pb.FindSimilarItemsRequest,
    "RankItems": pb.RankItemsRequest,
}
_KEYS: Final = {"at_s", "method", "request"}


class Recording(NamedTuple):
    """Calls, and when they were made."""

    questions: tuple[Question, ...]
    """The calls, in order."""
    times_s: tuple[float, ...]
    """Seconds since the first one, ascending; empty if the recording has none."""


def read_recording(path: Path) -> Recording:
    """Reads a recording.

    Raises:
        FileError: the file cannot be read, or a line of it; the text says which and why.
    """
    questions: list[Question] = []
    times_s: list[float] = []
    with reading(path), path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                place = f"{path}, line {number}"
                call = _call(line, place)
                questions.append(_question(call, place))
                _add_time(times_s, call, len(questions), place)
    if not questions:
        raise FileError(f"{path} has no calls")
    return Recording(tuple(questions), tuple(time_s - times_s[0] for time_s in times_s))


def _call(line: str, place: str) -> dict[str, Any]:
    try:
        call = json.loads(line)
    except ValueError as error:
        raise FileError(f"{place} is no JSON: {error}") from error
    if not isinstance(call, dict) or not isinstance(call.get("request"), dict):
        raise FileError(f"{place} has no object `request`")
    if unknown := sorted(set(call) - _KEYS):
        raise FileError(f"{place} has {unknown[0]!r}, allowed are {', '.join(sorted(_KEYS))}")
    return call


def _question(call: dict[str, Any], place: str) -> Question:
    method = call.get("method", "Recommend")
    if not isinstance(method, str) or method not in _REQUESTS:
        raise FileError(f"{place} has method {method!r}, allowed are {', '.join(_REQUESTS)}")
    request = _REQUESTS[method]()
    try:
        json_format.ParseDict(call["request"], request)
    except (json_format.ParseError, OverflowError) as error:
        # An endless number for an enum is no ParseError; some of those have texts of several lines.
        raise FileError(f"{place} is no {method}: {' '.join(str(error).split())}") from error
    return Question(f"/recserve.v1.RecommendationService/{method}", request.SerializeToString())


def _add_time(times_s: list[float], call: Mapping[str, object], count: int, place: str) -> None:
    if "at_s" not in call and not times_s:
        return
    at_s = call.get("at_s")
    if isinstance(at_s, bool) or not isinstance(at_s, int | float) or len(times_s) != count - 1:
        raise FileError(f"{place} has at_s {at_s!r}, must be a number in all lines or in none")
    if not math.isfinite(at_s):
        raise FileError(f"{place} has at_s {at_s:g}, must be finite")
    if times_s and at_s < times_s[-1]:
        raise FileError(f"{place} has at_s {at_s:g}, must not be before the line above it")
    times_s.append(float(at_s))
