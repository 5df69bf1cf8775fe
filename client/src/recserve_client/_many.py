"""Any number of users to calls of bounded size, answered in order: blocking."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context, copy_context
from dataclasses import dataclass
from itertools import islice
from typing import Final

from ._errors import InvalidRequestError, RecommenderError
from ._transport.budget import TimeBudget
from ._transport.limits import checked_timeout_s
from ._types import Recommendation

_DAY_S: Final = 86_400.0
USER_IDS: Final = "an iterable of user ids"

Ask = Callable[[Sequence[str]], tuple[Recommendation, ...]]


@dataclass(frozen=True, slots=True)
class Many:
    """How many users are asked for; checked at birth."""

    users_per_call: int
    """Users in one call."""
    concurrency: int
    """Calls under way at a time."""
    timeout_s: float
    """Seconds that each call may take."""
    on_progress: Callable[[int], object] | None
    """Is told how many users are answered."""

    def __post_init__(self) -> None:
        """Raises InvalidRequestError naming the first field that is out of range."""
        checked_timeout_s(self.timeout_s)
        for name, value, most in (
            ("users_per_call", self.users_per_call, 256),
            ("concurrency", self.concurrency, 64),
        ):
            if not 1 <= value <= most:
                raise InvalidRequestError(f"{name}: is {value!r}, must be from 1 to {most}")

    @property
    def window(self) -> int:
        """Calls that are under way or answered, and not iterated over yet."""
        # Twice as many as are under way, lest one slow call at the head make all others wait.
        return 2 * self.concurrency

    def tell(self, answered_count: int) -> None:
        """Tells how many users are answered."""
        if self.on_progress is not None:
            self.on_progress(answered_count)


def answers_in_order(
    ask: Ask, user_ids: Iterable[str], plan: Many
) -> Generator[Recommendation, None, None]:
    """Asks in threads; see `RecommenderClient.recommend_many`."""
    if isinstance(user_ids, str | bytes):
        raise InvalidRequestError(f"user_ids: is {user_ids!r}, must be {USER_IDS}")
    return _answers(ask, iter(user_ids), plan)


def note_users(error: RecommenderError, first: int, users: Sequence[str]) -> None:
    """Adds to an error which users it is about."""
    last = first + len(users) - 1
    error.add_note(f"it is about users {first} to {last}, {users[0]!r} to {users[-1]!r}")


def _answers(
    ask: Ask, user_ids: Iterator[str], plan: Many
) -> Generator[Recommendation, None, None]:
    # There to be cancelled; its clock stands still, lest long jobs end with it.
    cancellable = TimeBudget(_DAY_S, clock=lambda: 0.0)
    # Entered for a moment: a generator shares the context of whoever iterates.
    with cancellable:
        context = copy_context()
    calls: deque[tuple[list[str], Future[tuple[Recommendation, ...]]]] = deque()
    answered_count = 0
    threads = ThreadPoolExecutor(plan.concurrency, thread_name_prefix="recserve-many")
    try:
        while True:
            # An answer that is there must not wait for users who are slow to come.
            while len(calls) < plan.window and not (calls and calls[0][1].done()):
                users = list(islice(user_ids, plan.users_per_call))
                if not users:
                    break
                calls.append((users, threads.submit(_under(context), ask, users)))
            if not calls:
                return
            users, call = calls.popleft()
            try:
                answers = call.result()
            except RecommenderError as error:
                note_users(error, answered_count, users)
                raise
            answered_count += len(answers)
            plan.tell(answered_count)
            yield from answers
    finally:
        cancellable.cancel()
        threads.shutdown(cancel_futures=True)


def _under(context: Context) -> Callable[[Ask, list[str]], tuple[Recommendation, ...]]:
    # A context can only be entered by one thread at a time.
    return context.copy().run
