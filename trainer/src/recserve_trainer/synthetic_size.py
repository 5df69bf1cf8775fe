"""How large a synthetic data set is, and how its size is written; imports nothing heavy."""

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["SyntheticSize", "parse_size"]

_COUNT_LIMITS: Final = (10, 1_000_000)
_MAX_INTERACTIONS: Final = 100_000_000
_MAX_SEED: Final = 2**32 - 1
_USUAL_ACTIVITY: Final = 60
_SIZE_TEXT: Final = re.compile(r"(\d+)x(\d+)(?:x(\d+))?(?:(?:@|-s)(\d+))?", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticSize:
    """How large an invented world is, and which one of that size; the same size, the same world."""

    user_count: int = 1000
    """From 10 to 1,000,000."""
    item_count: int = 800
    """From 10 to 1,000,000; how many films are in the catalogue, rated or not."""
    interaction_count: int = 0
    """Ratings in total: from one per user to half of the catalogue per user, at most 100 million.

    0 stands for 60 per user, or half of the catalogue where that is less; it is replaced by the
    number it stands for.
    """
    seed: int = 42
    """From 0 to 2**32 - 1."""

    def __post_init__(self) -> None:
        """Checks the limits and replaces an `interaction_count` of 0.

        Raises:
            ValueError: a number is outside its limits.
        """
        _check("user_count", self.user_count, *_COUNT_LIMITS)
        _check("item_count", self.item_count, *_COUNT_LIMITS)
        _check("seed", self.seed, 0, _MAX_SEED)
        if self.interaction_count == 0:
            usual = self.user_count * min(_USUAL_ACTIVITY, self.item_count // 2)
            object.__setattr__(self, "interaction_count", usual)
        most = min(self.user_count * (self.item_count // 2), _MAX_INTERACTIONS)
        _check("interaction_count", self.interaction_count, self.user_count, most)

    @property
    def name(self) -> str:
        """The size as text, like "1000x800x60000-s42"; `parse_size` reads it back."""
        return f"{self.user_count}x{self.item_count}x{self.interaction_count}-s{self.seed}"


def parse_size(text: str) -> SyntheticSize:
    """Reads "USERSxITEMS" or "USERSxITEMSxINTERACTIONS", each with or without "@SEED".

    "-sSEED" means the same as "@SEED": it is how `SyntheticSize.name` writes a seed.

    Raises:
        ValueError: the text has another form, or a number is outside its limits.
    """
    match = _SIZE_TEXT.fullmatch(text)
    if match is None:
        raise ValueError(
            f"size is {text!r}, must be like 1000x800, 1000x800x60000 or 1000x800x60000@7"
        )
    users, items, interactions, seed = match.groups()
    return SyntheticSize(
        user_count=int(users),
        item_count=int(items),
        interaction_count=int(interactions or 0),
        seed=int(seed or SyntheticSize().seed),
    )


def _check(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ValueError(f"{name} is {value}, must be from {least} to {most}")
