"""Flags to the values that they stand for; pure.

Every function here is the `type` of a flag, and raises argparse.ArgumentTypeError with what was
seen and what is allowed.
"""

import csv
import math
import re
from argparse import ArgumentTypeError
from typing import Final

from recserve_client._questions import EventType, Filter, HistoryEntry, ItemView

SPLITTING: Final = (
    "values are split at commas, and one that has a comma is put in double quotes, as in "
    "'\"Comedy, dark\",Drama'"
)

_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_FILTER: Final = re.compile(r"\s*(\S.*?)\s+(any|all|none|range)\s+(.*)", re.DOTALL)
_FILTER_ALLOWED: Final = "must be 'ATTRIBUTE any|all|none VALUE,...' or 'ATTRIBUTE range MIN..MAX'"
_RANGE_ALLOWED: Final = "must be MIN..MAX, MIN.. or ..MAX with finite numbers"


def positive_int(text: str) -> int:
    """Reads a whole number from 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise ArgumentTypeError(f"is {text!r}, must be a whole number from 1")
    return value


def finite_number(text: str) -> float:
    """Reads a finite number."""
    number = _number(text)
    if number is None:
        raise ArgumentTypeError(f"is {text!r}, must be a finite number")
    return number


def values(text: str) -> tuple[str, ...]:
    """Splits a text at its commas, save those in double quotes; "" in quotes is a quote.

    Spaces in front of a value are no part of it unless they are in the quotes.
    """
    try:
        rows = list(csv.reader([text], strict=True, skipinitialspace=True))
    except csv.Error as error:
        raise ArgumentTypeError(
            f"is {text!r}, must be values between commas, in double quotes if need be: {error}"
        ) from error
    found = tuple(rows[0]) if rows else ()
    if not found or "" in found:
        raise ArgumentTypeError(f"is {text!r}, must have no empty value")
    return found


def history(text: str) -> tuple[HistoryEntry, ...]:
    """Reads ITEM or ITEM=RATING, several between commas.

    What follows the last "=" is a rating if it is a number, and part of the id if not.
    """
    return tuple(map(_history_entry, values(text)))


def feature(text: str) -> tuple[str, float | str]:
    """Reads NAME=VALUE; a value that is a number counts as one unless it is in double quotes."""
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise ArgumentTypeError(f"is {text!r}, must be NAME=VALUE")
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return name, value[1:-1]
    number = _number(value)
    return name, value if number is None else number


def cap(text: str) -> tuple[str, int]:
    """Reads ATTRIBUTE=COUNT."""
    attribute, _, count = text.rpartition("=")
    if not attribute:
        raise ArgumentTypeError(f"is {text!r}, must be ATTRIBUTE=COUNT")
    return attribute, positive_int(count)


def item_filter(text: str) -> Filter:
    """Reads "ATTRIBUTE any|all|none VALUE,..." or "ATTRIBUTE range MIN..MAX"."""
    found = _FILTER.fullmatch(text)
    if found is None:
        raise ArgumentTypeError(f"is {text!r}, {_FILTER_ALLOWED}")
    attribute, kind, rest = found.groups()
    if kind == "range":
        return _range(attribute, rest.strip())
    constructors = {"any": Filter.any_of, "all": Filter.all_of, "none": Filter.none_of}
    return constructors[kind](attribute, values(rest))


def view(text: str) -> ItemView:
    """Reads how much to tell."""
    if text not in list(ItemView):
        raise ArgumentTypeError(f"is {text!r}, must be one of {', '.join(ItemView)}")
    return ItemView(text)


def event_type(text: str) -> EventType:
    """Reads what a user did."""
    if text not in list(EventType):
        raise ArgumentTypeError(f"is {text!r}, must be one of {', '.join(EventType)}")
    return EventType(text)


def _range(attribute: str, text: str) -> Filter:
    least, separator, greatest = text.partition("..")
    ends = [_number(end) if end else None for end in (least, greatest)]
    written = [bool(least), bool(greatest)]
    if not separator or not any(written) or written != [end is not None for end in ends]:
        raise ArgumentTypeError(f"has the range {text!r}, {_RANGE_ALLOWED}")
    return Filter.between(attribute, *ends)


def _history_entry(text: str) -> HistoryEntry:
    item_id, _, rating = text.rpartition("=")
    number = _number(rating) if item_id else None
    return HistoryEntry(text) if number is None else HistoryEntry(item_id, number)


def _number(text: str) -> float | None:
    # Python's own float() takes more than people write, such as "nan" and "1_000".
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if math.isfinite(number) else None
