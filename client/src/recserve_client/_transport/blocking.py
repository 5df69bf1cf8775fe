"""Calls of blocking code."""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, NoReturn, TypeVar

import grpc

from recserve_client._errors import RecommenderError

from .budget import TimeBudget, current_budget
from .channel import open_channel
from .methods import Method
from .outcome import FAILURES, closed_error, translated
from .shared import Attempts, Metadata, Policy
from .stopping import Stop, Watched, watching

Request = TypeVar("Request")
Response = TypeVar("Response")


@dataclass(frozen=True, slots=True)
class _Opened:
    """A channel, the process that it works in, and its methods so far."""

    channel: grpc.Channel
    pid: int
    callables: dict[Method[Any, Any], Any] = field(default_factory=dict)


class BlockingCalls:
    """Makes the calls of one client; may be shared by threads."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._closing = Stop()
        self._opening = threading.Lock()
        self._opened: _Opened | None = None

    def run(
        self,
        method: Method[Request, Response],
        request: Request,
        timeout_s: float | None = None,
        metadata: Metadata = (),
        *,
        is_patient: bool = False,
    ) -> Response:
        """Makes one call.

        Args:
            method: What to call.
            request: The question.
            timeout_s: Seconds that it may take; None means the client's default.
            metadata: What is sent beside the question, as pairs of key and value.
            is_patient: Whether to wait when the server asks for it, whatever the configuration.

        Raises:
            RecommenderError: whatever went wrong.
        """
        is_plain = self._policy.is_plain and not (metadata or is_patient)
        if is_plain and current_budget() is None:
            limit_s = self._policy.limit_s(timeout_s, None)
            callable_ = self._callable(method)
            try:
                response: Response = callable_(request, timeout=limit_s)
            except FAILURES as error:
                self._fail(error, None)
            return response
        attempts = Attempts.of(self._policy, method, timeout_s, metadata, is_patient)
        with attempts.told():
            return self._repeated(attempts, method, request)

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closing.is_set

    def limit_s(self, timeout_s: float | None) -> float:
        """Returns the timeout, or the client's default for None; raises InvalidRequestError."""
        return self._policy.limit_s(timeout_s, None)

    def close(self) -> None:
        """Closes the connection; calls under way fail."""
        with self._opening:
            self._closing.set()
            opened = self._opened
        # After a fork the channel is the parent's to close.
        if opened is not None and opened.pid == os.getpid():
            opened.channel.close()

    def _repeated(
        self, attempts: Attempts, method: Method[Request, Response], request: Request
    ) -> Response:
        """Sends the call until it is answered or must not be sent again."""
        self._policy.hedges.earn()
        while True:
            token = self._token(attempts)
            try:
                return self._sent(attempts, method, request, token)
            except RecommenderError as error:
                self._wait(attempts.pause_s(error, token), attempts.budget)

    def _token(self, attempts: Attempts) -> str | None:
        tokens = self._policy.tokens
        if tokens is None:
            return None
        token = tokens.current()
        if token is None:
            fetching = tokens.fetch()
            self._wait(attempts.remaining_s(), attempts.budget, fetching.ended)
            token = fetching.token()
        return token

    def _sent(
        self,
        attempts: Attempts,
        method: Method[Request, Response],
        request: Request,
        token: str | None,
    ) -> Response:
        callable_ = self._callable(method)
        metadata = attempts.metadata(token)

        def send() -> Any:  # noqa: ANN401  (gRPC's future; its stubs have no class for it)
            attempts.call.sent_count += 1
            return callable_.future(request, timeout=attempts.remaining_s(), metadata=metadata)

        hedge_after_s = self._policy.hedge_after_s(method)
        try:
            if attempts.budget is None and hedge_after_s is None:
                attempts.call.sent_count += 1
                response: Response = callable_(
                    request, timeout=attempts.remaining_s(), metadata=metadata
                )
                return response
            race = _Race(send, attempts.budget)
            raced: Response = race.run(hedge_after_s, attempts.may_hedge)
            return raced
        except FAILURES as error:
            self._fail(error, attempts.budget)

    def _callable(self, method: Method[Any, Any]) -> Any:  # noqa: ANN401  (no class in gRPC's stubs)
        opened = self._opened
        if opened is None or opened.pid != os.getpid() or self._closing.is_set:
            opened = self._open()
        found = opened.callables.get(method)
        if found is None:
            found = opened.channel.unary_unary(method.path, method.encode, method.decode)
            opened.callables[method] = found
        return found

    def _open(self) -> _Opened:
        # Opened at the first call, so that a client may be made before its process is forked.
        with self._opening:
            if self._closing.is_set:
                raise closed_error()
            if self._opened is None or self._opened.pid != os.getpid():
                channel = open_channel(self._policy.target, self._policy.config)
                self._opened = _Opened(channel, os.getpid())
            return self._opened

    def _fail(self, error: Exception, budget: TimeBudget | None) -> NoReturn:
        ours = translated(error, self._closing.is_set, budget)
        if ours is None:
            raise error
        raise ours from error

    def _wait(self, wait_s: float, budget: TimeBudget | None, ended: Watched | None = None) -> None:
        """Waits so long, or until something has ended.

        Raises:
            UnusableClientError: the client was closed meanwhile.
            CallCancelledError: the budget was cancelled meanwhile.
        """
        woken: SimpleQueue[None] = SimpleQueue()

        def wake() -> None:
            woken.put(None)

        with watching(wake, self._closing, budget, ended), suppress(Empty):
            woken.get(timeout=wait_s)
        if self._closing.is_set:
            raise closed_error()
        if budget is not None:
            budget.limited_s(wait_s)


class _Race:
    """A call that is under way once or twice, and can be cancelled."""

    def __init__(self, send: Callable[[], Any], budget: TimeBudget | None) -> None:
        self._send = send
        self._budget = budget
        self._ended: SimpleQueue[Any] = SimpleQueue()
        self._pending: list[Any] = []

    def run(self, hedge_after_s: float | None, may_hedge: Callable[[], bool]) -> Any:  # noqa: ANN401
        """Returns the first answer; raises what the last failure was if there is none."""
        try:
            self._start()
            if self._budget is not None:
                self._budget.watch(self._cancel)
            ended = self._first(hedge_after_s, may_hedge)
            while True:
                self._pending.remove(ended)
                try:
                    return ended.result()
                except (grpc.RpcError, grpc.FutureCancelledError):
                    if not self._pending:
                        raise
                ended = self._ended.get()
        finally:
            # After an interrupt by the keyboard too the server should know that nobody waits.
            self._cancel()
            if self._budget is not None:
                self._budget.unwatch(self._cancel)

    def _first(self, hedge_after_s: float | None, may_hedge: Callable[[], bool]) -> Any:  # noqa: ANN401
        try:
            return self._ended.get(timeout=hedge_after_s)
        except Empty:
            if may_hedge():
                self._start()
            return self._ended.get()

    def _start(self) -> None:
        future = self._send()
        self._pending.append(future)
        future.add_done_callback(self._ended.put)
        # Cancelled while it was being sent, `_cancel` has not seen it.
        if self._budget is not None and self._budget.is_cancelled:
            future.cancel()

    def _cancel(self) -> None:
        for future in list(self._pending):
            future.cancel()
