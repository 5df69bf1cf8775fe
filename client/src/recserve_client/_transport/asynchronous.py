"""Calls of asyncio code; the same as `blocking.py`, awaited."""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

import grpc
from grpc import aio

from recserve_client._errors import RecommenderError

from .budget import TimeBudget, current_budget
from .channel import open_aio_channel
from .methods import Method
from .outcome import FAILURES, cancelled, closed_error, translated
from .shared import Attempts, Policy

Request = TypeVar("Request")
Response = TypeVar("Response")


@dataclass(frozen=True, slots=True)
class _Opened:
    """A channel, the process that it works in, and its methods so far."""

    channel: aio.Channel
    pid: int
    callables: dict[Method[Any, Any], Any] = field(default_factory=dict)


class AsyncCalls:
    """Makes the calls of one client; may be shared by the tasks of one event loop."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._is_closed = False
        self._opened: _Opened | None = None

    async def run(
        self,
        method: Method[Request, Response],
        request: Request,
        timeout_s: float | None = None,
        *,
        is_patient: bool = False,
    ) -> Response:
        """Makes one call; as `BlockingCalls.run`."""
        if self._policy.is_plain and not is_patient and current_budget() is None:
            limit_s = self._policy.limit_s(timeout_s, None)
            callable_ = self._callable(method)
            try:
                response: Response = await callable_(request, timeout=limit_s)
            except (*FAILURES, asyncio.CancelledError) as error:
                self._fail(error, None)
            return response
        attempts = Attempts.of(self._policy, method, timeout_s, is_patient)
        with attempts.told():
            return await self._repeated(attempts, method, request)

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._is_closed

    def limit_s(self, timeout_s: float | None) -> float:
        """Returns the timeout, or the client's default for None; raises InvalidRequestError."""
        return self._policy.limit_s(timeout_s, None)

    async def close(self) -> None:
        """Closes the connection; calls under way fail."""
        self._is_closed = True
        if self._opened is not None and self._opened.pid == os.getpid():
            await self._opened.channel.close()

    async def _repeated(
        self, attempts: Attempts, method: Method[Request, Response], request: Request
    ) -> Response:
        """Sends the call until it is answered or must not be sent again."""
        self._policy.hedges.earn()
        while True:
            token = await self._token()
            try:
                return await self._sent(attempts, method, request, token)
            except RecommenderError as error:
                await self._pause(attempts.pause_s(error, token), attempts.budget)

    async def _token(self) -> str | None:
        tokens = self._policy.tokens
        if tokens is None or tokens.is_fresh:
            return None if tokens is None else tokens.current()
        return await asyncio.to_thread(tokens.current)

    async def _sent(
        self,
        attempts: Attempts,
        method: Method[Request, Response],
        request: Request,
        token: str | None,
    ) -> Response:
        callable_ = self._callable(method)
        metadata = aio.Metadata(*attempts.metadata(token))

        def send() -> "aio.UnaryUnaryCall[Any, Any]":
            attempts.call.sent_count += 1
            call: aio.UnaryUnaryCall[Any, Any] = callable_(
                request, timeout=attempts.remaining_s(), metadata=metadata
            )
            return call

        try:
            race = _Race(send, attempts.budget)
            raced: Response = await race.run(self._policy.hedge_after_s(method), attempts.may_hedge)
            return raced
        except (*FAILURES, asyncio.CancelledError) as error:
            self._fail(error, attempts.budget)

    def _callable(self, method: Method[Any, Any]) -> Any:  # noqa: ANN401  (generic in stubs only)
        if self._is_closed:
            raise closed_error()
        opened = self._opened
        if opened is None or opened.pid != os.getpid():
            # A channel belongs to the loop it was opened in, which only a call can know.
            channel = open_aio_channel(self._policy.target, self._policy.config)
            opened = self._opened = _Opened(channel, os.getpid())
        found = opened.callables.get(method)
        if found is None:
            found = opened.channel.unary_unary(method.path, method.encode, method.decode)
            opened.callables[method] = found
        return found

    def _fail(self, error: BaseException, budget: TimeBudget | None) -> NoReturn:
        if isinstance(error, asyncio.CancelledError):
            ours = cancelled(self._is_closed, budget)
        else:
            ours = translated(error, self._is_closed, budget)
        if ours is None:
            raise error
        raise ours from error

    async def _pause(self, wait_s: float, budget: TimeBudget | None) -> None:
        """Waits, unless the budget is cancelled meanwhile."""
        if budget is None:
            await asyncio.sleep(wait_s)
            return
        woken, wake = _waker()
        budget.watch(wake)
        try:
            await asyncio.wait({woken}, timeout=wait_s)
        finally:
            budget.unwatch(wake)
        budget.limited_s(wait_s)


class _Race:
    """A call that is under way once or twice, and can be cancelled."""

    def __init__(
        self, send: "Callable[[], aio.UnaryUnaryCall[Any, Any]]", budget: TimeBudget | None
    ) -> None:
        self._send = send
        self._budget = budget
        self._pending: dict[asyncio.Task[Any], aio.UnaryUnaryCall[Any, Any]] = {}

    async def run(self, hedge_after_s: float | None, may_hedge: Callable[[], bool]) -> Any:  # noqa: ANN401
        """Returns the first answer; raises what the last failure was if there is none."""
        if self._budget is None and hedge_after_s is None:
            return await self._send()
        loop = asyncio.get_running_loop()

        def cancel() -> None:  # may be called from any thread
            loop.call_soon_threadsafe(self._cancel)

        self._start()
        if self._budget is not None:
            self._budget.watch(cancel)
        try:
            await asyncio.wait(self._pending, timeout=hedge_after_s)
            if not any(task.done() for task in self._pending) and may_hedge():
                self._start()
            return await self._answer()
        finally:
            self._abandon()
            if self._budget is not None:
                self._budget.unwatch(cancel)

    async def _answer(self) -> Any:  # noqa: ANN401
        while True:
            done, _ = await asyncio.wait(self._pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del self._pending[task]
                try:
                    return task.result()
                except (grpc.RpcError, asyncio.CancelledError):
                    if not self._pending:
                        raise

    def _start(self) -> None:
        call = self._send()
        self._pending[asyncio.ensure_future(_awaited(call))] = call

    def _cancel(self) -> None:
        for call in self._pending.values():
            call.cancel()

    def _abandon(self) -> None:
        self._cancel()
        for task in self._pending:
            task.add_done_callback(_ignore)


async def _awaited(call: "aio.UnaryUnaryCall[Any, Any]") -> Any:  # noqa: ANN401
    return await call


def _ignore(task: "asyncio.Task[Any]") -> None:
    """Looks at the outcome, of which asyncio would otherwise complain."""
    if not task.cancelled():
        task.exception()


def _waker() -> tuple["asyncio.Future[None]", Callable[[], None]]:
    """Returns a future and what completes it from any thread."""
    loop = asyncio.get_running_loop()
    woken: asyncio.Future[None] = loop.create_future()

    def complete() -> None:
        if not woken.done():
            woken.set_result(None)

    def wake() -> None:
        loop.call_soon_threadsafe(complete)

    return woken, wake
