"""The keyword arguments of requests, by name; absent ones mean what their text says."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from ._questions import Diversity, Filter, HistoryEntry, ItemView, Priority


class _AnswerOptions(TypedDict, total=False):
    model: str
    """Name of the model to ask; empty, the default, means the server's first."""
    model_version: int
    """Version of the model that must answer, of those that are loaded; 0, the default, means any.
    """
    model_label: str
    """Label of the version that must answer, "stable" or "canary". Empty, the default, means what
    the canary's share says of the user; without a user, and for similar items, "stable". Not
    together with `model_version`."""
    view: ItemView
    """How much to tell of each item; `ItemView.BASIC` by default."""
    priority: Priority | None
    """Whom the server answers first when it cannot answer all at once. None, the default, means
    `Priority.BATCH` for `recommend_batch` and `recommend_many`, else `Priority.INTERACTIVE`."""


class _SelectionOptions(TypedDict, total=False):
    k: int
    """Items wanted, 10 by default, from 1 to the model's `max_k`; fewer come back only when fewer
    are eligible."""
    excluded_item_ids: Sequence[str]
    """Items that must not come back, at most 1000. Those that the model does not know are passed
    over and counted."""
    allowed_item_ids: Sequence[str]
    """If not empty, only these items may come back: at most 10000."""
    filters: Sequence[Filter]
    """What items must fulfil to come back, at most 16; all of them must hold."""


class _AskerOptions(TypedDict, total=False):
    history: Sequence[str | HistoryEntry] | None
    """What the user took, at most 1000 item ids or entries. With a user id, what the user took
    lately, in addition to what training knows. Items that the model does not know are passed over
    and counted."""
    features: Mapping[str, float | str] | None
    """What is known of the user, by the name that it has in the model's user table, at most 64:
    numbers as int or float, categories as str."""
    strict: bool
    """Whether to raise NotPersonalError instead of answering with popular items."""
    explain: bool
    """Whether to tell of each item why it is there."""


class RecommendOptions(_SelectionOptions, _AskerOptions, _AnswerOptions, total=False):
    """What `recommend` and `recommend_batch` take besides users.

    * Who asks: `history`, `features`, `strict`.
    * What may come back: `k`, `include_seen`, `excluded_item_ids`, `allowed_item_ids`, `filters`.
    * In which order: `diversity`.
    * How much is told: `view`, `explain`.
    * Which model answers: `model`, `model_version`, `model_label`.
    * How urgent it is: `priority`.
    """

    include_seen: bool
    """Whether items of the user's own history may come back, that of the request and recorded
    events included; by default they do not."""
    diversity: Diversity | None
    """How to make the list more varied; None, the default, means not at all."""


class SimilarItemsOptions(_SelectionOptions, _AnswerOptions, total=False):
    """What `find_similar_items` takes besides items.

    `k`, `excluded_item_ids`, `allowed_item_ids`, `filters`, `view`, `model`, `model_version`,
    `model_label` and `priority`, as in `RecommendOptions`.
    """


class RankItemsOptions(_AskerOptions, _AnswerOptions, total=False):
    """What `rank_items` takes besides items and user.

    `history`, `features`, `strict`, `view`, `explain`, `model`, `model_version`, `model_label` and
    `priority`, as in `RecommendOptions`.
    """
