"""Why a version is not served."""

from enum import Enum
from typing import Final

_MOST_TOLD: Final = 500


class Refusal(Enum):
    """Kinds of reasons, few and fixed: metrics have one series each."""

    INCOMPLETE = "incomplete"
    """A file is missing, has another size, or the manifest is not there: half-copied?"""
    TAMPERED = "tampered"
    """A file is not what the manifest says, or a link."""
    INCOMPATIBLE = "incompatible"
    """Of another format, another model, or not as docs/artifact.md has it."""
    FORBIDDEN_OP = "forbidden_op"
    """Its graph has an operation that no model of ours needs."""
    FAILED = "failed"
    """It cannot be loaded, or breaks while it is warmed up."""
    UNLIKE_EXPORT = "unlike_export"
    """Its answers to its golden queries are not those that the trainer expected."""
    UNLIKE_SERVING = "unlike_serving"
    """Its answers are too far from the serving version's."""
    NO_MEMORY = "no_memory"
    """It would not fit beside what is loaded."""


class VersionRefused(ValueError):
    """A version cannot be served; the text says why in one line, whatever it was made of."""

    def __init__(self, kind: Refusal, text: str) -> None:
        # Paths and TensorFlow's messages may hold anything, and be of any length.
        printable = "".join(each if each.isprintable() else " " for each in text[:_MOST_TOLD])
        super().__init__(printable.strip() or kind.value)
        self.kind = kind
        """What metrics count it as."""


def reason_of(error: Exception) -> str:
    """Returns what an error says, in one line; TensorFlow's first may say nothing, as a title."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line and not line.endswith(":")), type(error).__name__)
