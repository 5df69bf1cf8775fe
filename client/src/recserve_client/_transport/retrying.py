"""When a call is made once more by the client itself; gRPC's own retries are in the channel."""

import random
import threading
from typing import Final

from recserve_client._errors import OverloadedError, RecommenderError, UnavailableError

_HEDGE_COST: Final = 10
_MAX_TOKENS: Final = 10 * _HEDGE_COST
_SHORTEST_WAIT_S: Final = 0.01
"""A server that cannot tell yet says 0, which would have callers ask it in a tight loop."""


class HedgeBudget:
    """Lets at most one call in ten be sent twice, after ten at once at first.

    Without it a server that becomes slow would get twice the load.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens = _MAX_TOKENS

    def earn(self) -> None:
        """Counts a call."""
        with self._lock:
            self._tokens = min(_MAX_TOKENS, self._tokens + 1)

    def spend(self) -> bool:
        """Returns whether a call may be sent twice."""
        with self._lock:
            if self._tokens < _HEDGE_COST:
                return False
            self._tokens -= _HEDGE_COST
            return True


def wait_before_retry_s(error: RecommenderError, remaining_s: float) -> float | None:
    """Returns how long to wait before making a refused call again, or None not to.

    Only calls that the server says it did not work on are made again. The random part keeps callers
    that were refused together from coming back together.
    """
    if not isinstance(error, OverloadedError | UnavailableError) or error.retry_after_s is None:
        return None
    wait_s = max(error.retry_after_s, _SHORTEST_WAIT_S) * random.uniform(1.0, 1.25)
    return wait_s if wait_s < remaining_s else None
