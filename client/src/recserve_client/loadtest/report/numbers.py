"""Figures as a person reads them; `plots.js` has the same rules for the charts."""

from collections.abc import Mapping
from typing import Final

UNKNOWN: Final = "\N{EN DASH}"


def number(value: float | None) -> str:
    """Writes `value` with three figures or more: 1,850 or 20.4 or 3.07; None as a dash."""
    if value is None:
        return UNKNOWN
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def rate(value: float) -> str:
    """Writes calls per second: 1,850 or 12.5, no decimals that say nothing."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.4g}"


def percent(share: float) -> str:
    """Writes a share from 0 to 1 in percent; errors that are there never read as 0."""
    if share in (0, 1):
        return f"{100 * share:.0f}"
    if share < 0.0001:
        return "<0.01"
    # Nor does anything that is missing read as 100.
    if 0.9999 < share < 1:
        return ">99.99"
    return f"{100 * share:.2f}" if share < 0.1 else f"{100 * share:.1f}"


def gibibytes(count: int) -> str:
    """Writes bytes as GiB."""
    return f"{count / 2**30:,.1f} GiB"


def counted(count: int, noun: str) -> str:
    """Writes "1 stage" or "6 stages"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def pairs(values: Mapping[str, str]) -> str:
    """Writes "grpcio 1.80.0, protobuf 6.31.1"."""
    return ", ".join(f"{name} {value}" for name, value in values.items())
