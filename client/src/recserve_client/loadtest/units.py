"""Quantities as people write them: 20ms, 0.1%, 1.5k; pure."""

import re
from typing import Final

from .plan import PlanError

_NUMBER: Final = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-zA-Z%/]*)", re.ASCII)
_SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_FACTORS: Final = {"": 1.0, "k": 1000.0, "/s": 1.0, "k/s": 1000.0}
_SHARES: Final = {"": 1.0, "%": 0.01}


def seconds(text: str) -> float:
    """Reads a time in seconds: "20ms", "1.5s", "2m"; a bare number is seconds."""
    return _read(text, {"": 1.0, **_SECONDS}, "a time such as 20ms, 1.5s or 2m")


def latency_ms(text: str) -> float:
    """Reads a latency in milliseconds: "20ms"; a bare number could be meant as either unit."""
    return round(1000 * _read(text, _SECONDS, "a latency such as 20ms or 1.5s"), 9)


def rate(text: str) -> float:
    """Reads a rate per second: "500", "1.5k", "500/s"."""
    return _read(text, _FACTORS, "a rate per second such as 500 or 1.5k")


def share(text: str) -> float:
    """Reads a share from 0 to 1: "0.1%" or "0.001"."""
    found = _read(text, _SHARES, "a share such as 0.1% or 0.001")
    if found > 1:
        raise PlanError(f"{text!r} is {100 * found:g}%, must be from 0% to 100%")
    return found


def _read(text: str, units: dict[str, float], allowed: str) -> float:
    found = _NUMBER.fullmatch(text.strip())
    if found is None or found[2] not in units:
        raise PlanError(f"{text!r} is not {allowed}")
    # A product of floats has a tail: 0.7 % is 0.007, not 0.006999999999999999.
    return round(float(found[1]) * units[found[2]], 12)
