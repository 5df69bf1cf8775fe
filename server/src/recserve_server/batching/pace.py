"""When the next batch should start, and when it is over, from what those before took; pure."""

from typing import Final

from recserve_server.config import BatchingConfig

SHORTEST_RETRY_S: Final = 0.01
"""The least that a caller who is refused is asked to wait."""
MARGIN: Final = 1.25
"""How many times its estimate an answer is given until its deadline.

Under overload everybody who is let in waits up to the edge of what is allowed. Without room for
error a batch slower than most makes them all late; with it the queue is only shorter.
"""
# What a batch takes is a mean that follows each new one by this share (Jacobson, "Congestion
# avoidance and control", 1988).
_GAIN: Final = 1 / 8
# A batch that takes so many times more or less says nothing of those to come: a stall that comes by
# chance must not have callers refused. Two such batches in a row say that the model has changed.
_ODD: Final = 8.0
# Between two batches the model rests this many times what the one before took: company comes
# meanwhile, and each batch has a price whatever its size (docs/performance.md has the sweep).
_REST: Final = 3.0


class Pace:
    """The timing of one model; times are seconds on the batcher's clock."""

    def __init__(self, config: BatchingConfig) -> None:
        self._max_batch_size = config.max_batch_size
        self._longest_wait_s = config.batch_timeout_micros * 1e-6
        self.batch_s = 0.0
        """What batches that went well take, the last ones counting most; 0 before the first."""
        self._last_batch_s, self._was_odd = 0.0, False
        self._idle_since_s = float("-inf")
        self._recent_callers = 1
        self.running_since_s: float | None = None
        """When the batch under way started; None if there is none."""

    def started(self, now_s: float) -> None:
        """Notes that a batch starts."""
        self.running_since_s = now_s

    def finished(self, now_s: float, callers: int) -> float:
        """Notes that the batch is over and `callers` were in it or waiting; returns its seconds."""
        assert self.running_since_s is not None
        run_s = now_s - self.running_since_s
        self.running_since_s = None
        self._idle_since_s = now_s
        self._recent_callers = callers
        return run_s

    def answered(self, run_s: float) -> None:
        """Notes what a batch that went well has taken."""
        self._last_batch_s = run_s
        mean_s = self.batch_s
        is_odd = mean_s > 0.0 and not mean_s / _ODD <= run_s <= mean_s * _ODD
        is_change = is_odd and self._was_odd
        if is_change or mean_s == 0.0:
            self.batch_s = run_s
        elif not is_odd:
            self.batch_s += _GAIN * (run_s - mean_s)
        self._was_odd = is_odd and not is_change

    def abandoned(self) -> None:
        """Notes that nobody waits for the batch under way any more."""
        self.running_since_s = None

    def is_everybody_here(self, callers: int) -> bool:
        """Whether as many callers wait as there were lately, so that no more can be expected."""
        return callers >= self._recent_callers

    def start_s(self, oldest_s: float) -> float:
        """Returns when to start a batch whose longest waiting caller came at `oldest_s`."""
        rest_s = min(_REST * self._last_batch_s, self._longest_wait_s)
        return min(self._idle_since_s + rest_s, oldest_s + self._longest_wait_s)

    def late_s(self, now_s: float, oldest_s: float) -> float:
        """Returns for how long such a batch should have been under way, which is not."""
        return now_s - max(oldest_s, self.start_s(oldest_s))

    def estimated_wait_s(self, now_s: float, requests_before: int) -> float:
        """Returns the seconds until a request's batch starts, if batches take `batch_s`.

        Zero while nothing runs: slow batches can then never keep later callers out for good.
        """
        if self.running_since_s is None:
            return 0.0
        left_s = max(0.0, self.running_since_s + self.batch_s - now_s)
        return left_s + requests_before // self._max_batch_size * self.batch_s

    def answer_s(self, now_s: float, requests_before: int) -> float:
        """Returns the seconds within which a request's batch is over, with room for error.

        Zero while nothing runs, for the same reason.
        """
        if self.running_since_s is None:
            return 0.0
        return MARGIN * (self.estimated_wait_s(now_s, requests_before) + self.batch_s)

    def time_to_empty_s(self, queue_depth: int) -> float:
        """Returns the seconds after which a full queue has room again, 0.01 at least."""
        return max(SHORTEST_RETRY_S, queue_depth / self._max_batch_size * self.batch_s)
