"""Which versions of a model are loaded, and when."""

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, Self

_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
_MOST_NEWEST: Final = 100


class MemoryPolicy(Enum):
    """What a new version costs while it replaces the old one."""

    AVAILABILITY = "availability"
    """Both are in memory until the new one answers: no call fails."""
    FRUGAL = "frugal"
    """The old one is freed before the new one is loaded: calls fail meanwhile."""


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """Which versions are to be loaded, besides those with a label."""

    newest: int = 1
    """So many of the newest good ones; 0 if `specific` says which."""
    specific: tuple[int, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `latest`, `latest:N` or `specific:V,V`.

        Raises:
            ValueError: it is none of these.
        """
        if text == "latest":
            return cls()
        kind, _, rest = text.partition(":")
        numbers = [int(each) for each in rest.split(",") if _NUMBER.fullmatch(each)]
        if len(numbers) == rest.count(",") + 1:
            if kind == "specific":
                return cls(newest=0, specific=tuple(sorted(set(numbers))))
            if kind == "latest" and len(numbers) == 1 and numbers[0] <= _MOST_NEWEST:
                return cls(newest=numbers[0])
        raise ValueError(
            f"versions is {text!r}, must be latest, latest:N (N from 1 to 100) or specific:V,V"
        )

    def __str__(self) -> str:
        """Returns what `parse` reads."""
        if self.specific:
            return f"specific:{','.join(map(str, self.specific))}"
        return "latest" if self.newest == 1 else f"latest:{self.newest}"


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionsConfig:
    """How versions come and go."""

    policy: VersionPolicy = VersionPolicy()
    poll_interval_s: float = 5.0
    """Time between two looks at the model directory; 0 for none, SIGHUP always has it looked at."""
    memory_policy: MemoryPolicy = MemoryPolicy.AVAILABILITY
    labels_file: Path | None = None
    """JSON of labels by model, read at start and at SIGHUP, written by `recserve-serve admin`;
    None keeps labels for as long as the server runs."""
    min_golden_overlap: float = 0.9
    """Mean share of the expected items that a new version's answers to its golden queries must
    have, 0 to 1."""
    min_serving_overlap: float = 0.0
    """Mean share of the serving version's items that the new one's answers must have."""

    wait_for_model: bool = False
    """Whether a server that finds nothing to serve at start waits for it, NOT_SERVING, instead of
    ending with an error."""

    def __post_init__(self) -> None:
        if not 0 <= self.poll_interval_s <= 86_400:
            raise ValueError(
                f"poll_interval is {self.poll_interval_s}, must be from 0 to 86400 seconds"
            )
        for flag, share in (
            ("min_golden_overlap", self.min_golden_overlap),
            ("min_serving_overlap", self.min_serving_overlap),
        ):
            if not 0 <= share <= 1:
                raise ValueError(f"{flag} is {share}, must be from 0 to 1")
