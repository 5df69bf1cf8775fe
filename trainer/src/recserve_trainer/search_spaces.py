"""Which settings of a family are worth searching, and between which limits; pure."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers between two limits."""

    least: float
    most: float
    logarithmic: bool = False
    """Whether steps are factors: for what is told apart by orders of magnitude."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few whole numbers."""

    values: tuple[int, ...]


SearchSpace = dict[str, Range | Choice]
"""By name of the setting, as in the family's config."""

_GRADIENT: Final[SearchSpace] = {
    "embedding_dimension": Choice((16, 32, 64, 128, 256)),
    "batch_size": Choice((128, 256, 512, 1024, 2048)),
    "learning_rate": Range(3e-4, 3e-2, logarithmic=True),
    "l2": Range(3e-3, 1.0, logarithmic=True),
}
_QUERIES: Final[SearchSpace] = {
    **_GRADIENT,
    "least_confidence": Range(0.1, 1),
    "history_prior": Range(0.5, 50, logarithmic=True),
    "query_l2": Range(0.01, 100, logarithmic=True),
    "new_item_l2": Range(0.3, 300, logarithmic=True),
}

SEARCH_SPACES: Final[dict[str, SearchSpace]] = {
    "collaborative": {**_GRADIENT, "least_confidence": Range(0.1, 1)},
    "content": {**_QUERIES, "item_l2": Range(0.1, 100, logarithmic=True)},
    "hybrid": {**_QUERIES, "item_shrinkage": Range(0, 30)},
    "history": {
        "dimension": Choice((64, 128, 256)),
        "blend": Range(0, 5),
        "ease_l2": Range(30, 10_000, logarithmic=True),
        "user_weight_power": Range(0, 1),
        "session_weight": Range(0, 20),
        "ease_side_weight": Range(0, 50),
        "ials_dimension": Choice((32, 64, 128)),
        "ials_alpha": Range(0.01, 3, logarithmic=True),
        "ials_l2": Range(0.003, 3, logarithmic=True),
        "ials_l2_power": Range(0, 1),
        "ials_side_weight": Range(0, 50),
        "least_confidence": Range(0.1, 1),
    },
    "ranking": {
        "blend_weight": Range(0, 2),
        "trees": Choice((50, 100, 200)),
        "depth": Choice((2, 3, 4)),
        "learning_rate": Range(0.02, 0.2, logarithmic=True),
        "leaf_rows": Choice((200, 500, 1000, 2000)),
    },
}
"""By family; the defaults of a family lie inside its space. A family in none has nothing to find:
`popularity` learns nothing, and `textbook` is there to be as it is."""
