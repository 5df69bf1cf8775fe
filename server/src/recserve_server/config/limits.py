"""What a request may ask for."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a request may ask for."""

    max_k: int = 500
    """Largest k."""
    max_id_bytes: int = 128
    """Longest id or name, in UTF-8 bytes."""
    max_batch_requests: int = 256
    """Requests in one BatchRecommend."""
    max_history: int = 1000
    """Entries of a history."""
    max_features: int = 64
    """Features of a user."""
    max_excluded: int = 1000
    """Items that must not come back."""
    max_allowed: int = 10_000
    """Items that alone may come back."""
    max_filters: int = 16
    """Conditions on attributes."""
    max_filter_values: int = 100
    """Values in one condition."""
    max_caps: int = 8
    """Attributes whose values may occur so many times only."""
    max_rank_items: int = 1000
    """Items in one RankItems."""
    max_similar_items: int = 100
    """Items in one FindSimilarItems."""
    max_events: int = 1000
    """Events in one RecordEvents."""

    def __post_init__(self) -> None:
        if not 1 <= self.max_k <= 1_000_000:
            raise ValueError(f"max_k is {self.max_k}, must be from 1 to 1000000")

    @property
    def default_k(self) -> int:
        """K of a request that does not say: 10, or `max_k` if that is less."""
        return min(10, self.max_k)
