"""The calls that a fake server received."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import grpc
from google.protobuf import text_format
from google.protobuf.message import Message

_FOR_EVER_S: Final = 10 * 365 * 86_400.0


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class ReceivedCall:
    """A call as it arrived, and how it ended."""

    method: str
    """Name of the method, e.g. "Recommend"."""
    request: Message
    """The request, e.g. a `recserve.v1.recommendation_service_pb2.RecommendRequest`."""
    metadata: Mapping[str, str | bytes]
    """What came with it, by key in lower case; values of keys that end in "-bin" are bytes."""
    time_remaining_s: float | None
    """Seconds to the deadline when the call arrived; None if it had none."""
    _end: "_End" = field(default_factory=lambda: _End())

    @property
    def was_cancelled(self) -> bool:
        """Whether it ended unanswered: cancelled, past its deadline, or cut off by `stop`.

        False while it is under way; `wait_until_over` waits for its end.
        """
        return self._end.is_over.is_set() and not self._end.is_answered

    def wait_until_over(self, timeout_s: float = 5.0) -> None:
        """Waits until the call has been answered or has ended otherwise.

        Raises:
            TimeoutError: it is still under way after `timeout_s`.
        """
        if not self._end.is_over.wait(timeout_s):
            raise TimeoutError(f"{self.method} is still under way after {timeout_s:g} s")

    def __repr__(self) -> str:
        """Tells what was asked, and what became of it."""
        state = "cancelled" if self.was_cancelled else "answered"
        if not self._end.is_over.is_set():
            state = "under way"
        asked = text_format.MessageToString(self.request, as_one_line=True)
        return f"<ReceivedCall {self.method}({asked}) {state}>"


class _End:
    def __init__(self) -> None:
        self.is_over = threading.Event()
        self.is_answered = False


class CallLog:
    """Calls in the order in which they arrived; guarded by the condition that it is given."""

    def __init__(self, changed: threading.Condition) -> None:
        """Takes what to tell when a call comes or ends."""
        self._changed = changed
        self._calls: list[ReceivedCall] = []
        self._waited_for = 0

    @property
    def calls(self) -> tuple[ReceivedCall, ...]:
        """All calls since the beginning or `clear`."""
        with self._changed:
            return tuple(self._calls)

    def add(self, method: str, request: Message, context: grpc.ServicerContext) -> ReceivedCall:
        """Notes a call, and follows it to its end."""
        remaining_s = context.time_remaining()
        call = ReceivedCall(
            method,
            request,
            dict(context.invocation_metadata()),
            # gRPC gives a call without a deadline one that nobody will see pass.
            remaining_s if remaining_s < _FOR_EVER_S else None,
        )
        with self._changed:
            self._calls.append(call)
            self._changed.notify_all()
        if not context.add_callback(lambda: self._end(call)):
            self._end(call)
        return call

    def hold(self, call: ReceivedCall, delay_s: float, is_paused: Callable[[], bool]) -> bool:
        """Lets a call wait as long as it must; returns whether anybody still waits for it.

        If so it counts as answered from now on.
        """
        with self._changed:
            self._changed.wait_for(call._end.is_over.is_set, delay_s)
            self._changed.wait_for(lambda: call._end.is_over.is_set() or not is_paused())
            call._end.is_answered = not call._end.is_over.is_set()
            return call._end.is_answered

    def wait_for_next(self, timeout_s: float) -> ReceivedCall:
        """Returns the first call that was not yet returned, which may still have to come.

        Raises:
            TimeoutError: none came.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._calls) > self._waited_for, timeout_s):
                raise TimeoutError(f"no further call came within {timeout_s:g} s")
            self._waited_for += 1
            return self._calls[self._waited_for - 1]

    def clear(self) -> None:
        """Forgets all calls."""
        with self._changed:
            self._calls.clear()
            self._waited_for = 0

    def _end(self, call: ReceivedCall) -> None:
        with self._changed:
            call._end.is_over.set()
            self._changed.notify_all()
