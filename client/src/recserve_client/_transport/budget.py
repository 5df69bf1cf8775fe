"""Time that several calls may take together, and a way to cancel them."""

import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Final, Self

from recserve_client._errors import CallCancelledError, DeadlineExceededError

from .limits import checked_timeout_s
from .stopping import Stop

_current: ContextVar["TimeBudget | None"] = ContextVar("recserve_time_budget", default=None)


def budget_cancelled_error() -> CallCancelledError:
    """Makes the exception for a call of a budget that was cancelled."""
    return CallCancelledError("the time budget was cancelled")


class TimeBudget:
    """Time that all calls inside a `with` block may take together.

    Each call gets what is left of it, or its own timeout if that is less; when nothing is left,
    DeadlineExceededError comes without a call. Budgets inside one another all hold. It works with
    both clients; an asyncio task inherits the budget it was started in. A thread does not: start it
    with `contextvars.copy_context().run`.

        with TimeBudget(0.3):
            user = client.recommend("42")
            items = client.find_similar_items(user.items[0].item_id)
    """

    def __init__(self, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """The time starts to run at once, not at the beginning of the block.

        Args:
            seconds: From now on; above 0.
            clock: Seconds that never go back.

        Raises:
            InvalidRequestError: `seconds` is out of range.
        """
        self.seconds: Final = checked_timeout_s(seconds, "seconds")
        """What there was at first."""
        self._clock = clock
        self._deadline_s = clock() + seconds
        self._stop = Stop()
        self._outer: TimeBudget | None = None
        self._entered: Token[TimeBudget | None] | None = None

    @property
    def remaining_s(self) -> float:
        """Seconds left, of the budgets around it too; 0 when used up."""
        left_s = max(0.0, self._deadline_s - self._clock())
        return left_s if self._outer is None else min(left_s, self._outer.remaining_s)

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was called, of this budget or of one around it."""
        return self._stop.is_set or (self._outer is not None and self._outer.is_cancelled)

    def cancel(self) -> None:
        """Cancels the calls under way, at the server too, and all that would follow.

        They raise CallCancelledError. May be called from any thread, and by a signal handler.
        """
        self._stop.set()

    def __enter__(self) -> Self:
        """Makes it the current one.

        Raises:
            RuntimeError: it is current already.
        """
        outer = _current.get()
        # A task keeps the budgets that it was started in, also when others have left them.
        if self._entered is not None or (outer is not None and outer._is_within(self)):
            raise RuntimeError("a TimeBudget cannot be entered twice at a time")
        self._outer = outer
        self._entered = _current.set(self)
        return self

    def __exit__(
        self,
        error_class: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Makes the one around it the current one again."""
        assert self._entered is not None, "entered before it is left"
        _current.reset(self._entered)
        self._entered = None

    def __repr__(self) -> str:
        """Tells what is left."""
        state = ", cancelled" if self.is_cancelled else ""
        return f"TimeBudget({self.seconds:g}, {self.remaining_s:.3f} s left{state})"

    def limited_s(self, timeout_s: float) -> float:
        """Returns the timeout, or what is left if that is less.

        Raises:
            CallCancelledError: the budget is cancelled.
            DeadlineExceededError: nothing is left.
        """
        if self.is_cancelled:
            raise budget_cancelled_error()
        remaining_s = self.remaining_s
        if remaining_s <= 0:
            raise DeadlineExceededError(f"the time budget of {self.seconds:g} s is used up")
        return min(timeout_s, remaining_s)

    def watch(self, tell: Callable[[], object]) -> None:
        """Has `tell` called when the budget or one around it is cancelled, or at once if so."""
        if self._outer is not None:
            self._outer.watch(tell)
        self._stop.watch(tell)

    def unwatch(self, tell: Callable[[], object]) -> None:
        """Takes back `watch`."""
        if self._outer is not None:
            self._outer.unwatch(tell)
        self._stop.unwatch(tell)

    def _is_within(self, budget: "TimeBudget") -> bool:
        return self is budget or (self._outer is not None and self._outer._is_within(budget))


def current_budget() -> TimeBudget | None:
    """Returns the innermost budget around the caller."""
    return _current.get()
