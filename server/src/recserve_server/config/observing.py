"""What is written down of calls."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class ObservingConfig:
    """The request log and traces."""

    request_log: Path | None = None
    """File of JSON lines for a sample of calls and their answers; None for none."""
    request_log_share: float = 0.01
    """Share of calls that are written, 0 to 1."""
    request_log_personal: bool = False
    """Whether user ids, histories, features and item ids are written; else only their counts."""
    request_log_max_bytes: int = 100_000_000
    """Size at which the file is put aside as FILE.1, the one before as FILE.2, and so on to 5."""
    otel: bool = False
    """Whether spans are exported by OpenTelemetry; needs the extra `otel`, whose own environment
    variables say where to."""

    def __post_init__(self) -> None:
        if not 0 <= self.request_log_share <= 1:
            raise ValueError(f"request_log_share is {self.request_log_share}, must be from 0 to 1")
        if self.request_log_max_bytes < 1_000_000:
            raise ValueError(
                f"request_log_max_bytes is {self.request_log_max_bytes}, must be 1000000 or more"
            )
