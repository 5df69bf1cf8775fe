"""What a look at something found."""

from dataclasses import dataclass
from enum import Enum
from typing import Self


class Verdict(Enum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    """A server would run, but not as well as it could, or not for long."""
    FAIL = "fail"
    """A server would not run, or not answer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line for the operator."""

    verdict: Verdict
    what: str
    seen: str
    advice: str = ""
    """What to do; empty if there is nothing to do."""

    def __str__(self) -> str:
        """Returns the line: verdict, what was looked at, what was seen, what to do."""
        advice = f"; {self.advice}" if self.advice else ""
        return f"{self.verdict.value:<4}  {self.what}: {self.seen}{advice}"

    @classmethod
    def ok(cls, what: str, seen: str) -> Self:
        """Nothing to do."""
        return cls(Verdict.OK, what, seen)

    @classmethod
    def warn(cls, what: str, seen: str, advice: str) -> Self:
        """Something to do soon."""
        return cls(Verdict.WARN, what, seen, advice)

    @classmethod
    def fail(cls, what: str, seen: str, advice: str) -> Self:
        """Something to do first."""
        return cls(Verdict.FAIL, what, seen, advice)
