"""What passes over the control socket: one JSON object each way, a line each."""

import json
from collections.abc import Mapping
from typing import Any, Final

MOST_BYTES: Final = 1 << 20
"""Longest line either side takes."""


def to_line(message: Mapping[str, object]) -> bytes:
    """Returns a message ready to be sent."""
    return json.dumps(message).encode() + b"\n"


def from_line(line: bytes) -> dict[str, Any]:
    """Reverses `to_line`.

    Raises:
        ValueError: the line is no JSON object.
    """
    try:
        message = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(message, dict):
        raise ValueError("not a JSON object")
    return message
