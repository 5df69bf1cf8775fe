"""What the contract says of ids and names."""

import re
from typing import Final

MAX_ID_BYTES: Final = 128
"""Longest id or name, in UTF-8 bytes."""

# All of Unicode's category Cc.
_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def id_fault(text: str) -> str:
    """Says what is wrong with an id or a name; empty if nothing is."""
    if not text:
        return "is empty, must be given"
    size = len(text.encode())
    if size > MAX_ID_BYTES:
        return f"has {size} bytes, must have at most {MAX_ID_BYTES}"
    control = _CONTROL_CHARACTER.search(text)
    if control:
        return (
            f"has the control character U+{ord(control[0]):04X} at position {control.start()}, "
            "must have none"
        )
    return ""
