"""How requests are gathered into model calls."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchingConfig:
    """How requests are gathered into model calls; none of it has to be set."""

    max_batch_size: int = 256
    """Requests per model call."""
    batch_timeout_micros: int = 10_000
    """Longest that a request waits for company while the server is busy with other calls."""
    max_enqueued: int = 1024
    """Requests waiting; beyond it QUEUE_FULL, for the newest of the tenant that has most waiting:
    batch work before interactive work."""
    max_queue_delay_ms: float = 1000.0
    """A request whose wait is estimated to be longer is refused at once as QUEUE_FULL, unless it is
    the next to be taken; 0 for no such bound."""
    tenant_key: str = ""
    """Metadata key whose value tells tenants apart, between whom the queue is shared fairly; empty
    means the authenticated caller, or else the client's address."""
    allowed_batch_sizes: tuple[int, ...] = ()
    """Ascending batch sizes that the model is called with, smaller batches being padded; the last
    is `max_batch_size`. Empty means 1, 2, 4, 8 and on in steps of at most a half."""
    watchdog_s: float = 30.0
    """A model call that takes longer counts as hanging: health turns to NOT_SERVING."""

    def __post_init__(self) -> None:
        if not 1 <= self.max_batch_size <= 4096:
            raise ValueError(f"max_batch_size is {self.max_batch_size}, must be from 1 to 4096")
        if not 0 <= self.batch_timeout_micros <= 1_000_000:
            raise ValueError(
                f"batch_timeout_micros is {self.batch_timeout_micros}, must be from 0 to 1000000"
            )
        if not self.max_batch_size <= self.max_enqueued <= 1_000_000:
            raise ValueError(
                f"max_enqueued is {self.max_enqueued}, must be from max_batch_size "
                f"({self.max_batch_size}) to 1000000"
            )
        if not 0 <= self.max_queue_delay_ms <= 3_600_000:
            raise ValueError(
                f"max_queue_delay_ms is {self.max_queue_delay_ms}, must be from 0 to 3600000"
            )
        if not 0 < self.watchdog_s <= 3600:
            raise ValueError(
                f"watchdog is {self.watchdog_s}, must be above 0, at most 3600 seconds"
            )
        sizes = self.allowed_batch_sizes
        if sizes and (
            sizes[0] < 1 or sizes[-1] != self.max_batch_size or sorted(set(sizes)) != list(sizes)
        ):
            raise ValueError(
                f"allowed_batch_sizes is {','.join(map(str, sizes))}, must ascend from 1 or more "
                f"to max_batch_size ({self.max_batch_size})"
            )

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """The allowed batch sizes, given or by default."""
        if self.allowed_batch_sizes:
            return self.allowed_batch_sizes
        steps = {size for power in range(13) for size in (2**power, 3 * 2 ** (power - 1))}
        usual = {int(size) for size in steps if size >= 8 or size in (1, 2, 4)}
        return (*sorted(size for size in usual if size < self.max_batch_size), self.max_batch_size)
