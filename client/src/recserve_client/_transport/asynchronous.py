"""Calls of asyncio code; the same as `blocking.py`, awaited."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

import grpc
from grpc import aio

from recserve_client._errors import RecommenderError, UnusableClientError

from .budget import TimeBudget, current_budget
from .channel import open_aio_channel
from .methods import Method
from .outcome import FAILURES, cancelled, closed_error, translated
from .shared import Attempts, Metadata, Policy
from .stopping import Stop, Watched, watching

Request = TypeVar("Request")
Response = TypeVar("Response")


@dataclass(frozen=True, slots=True)
class _Opened:
    """A channel, the process and the loop that it works in, and its methods so far."""

    channel: aio.Channel
    pid: int
    loop: asyncio.AbstractEventLoop
    callables: dict[Method[Any, Any], Any] = field(default_factory=dict)


class AsyncCalls:
    """Makes the calls of one client; may be shared by the tasks of one event loop."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._closing = Stop()
        self._opened: _Opened | None = None

    async def run(
        self,
        method: Method[Request, Response],
        request: Request,
        timeout_s: float | None = None,
        metadata: Metadata = (),
        *,
        is_patient: bool = False,
    ) -> Response:
        """Makes one call; as `BlockingCalls.run`."""
        is_plain = self._policy.is_plain and not (metadata or is_patient)
        if is_plain and current_budget() is None:
            limit_s = self._policy.limit_s(timeout_s, None)
            callable_ = self._callable(method)
            try:
                response: Response = await callable_(request, timeout=limit_s)
            except (*FAILURES, asyncio.CancelledError) as error:
                self._fail(error, None)
            return response
        attempts = Attempts.of(self._policy, method, timeout_s, metadata, is_patient)
        with attempts.told():
            return await self._repeated(attempts, method, request)

    @property
    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closing.is_set

    def limit_s(self, timeout_s: float | None) -> float:
        """Returns the timeout, or the client's default for None; raises InvalidRequestError."""
        return self._policy.limit_s(timeout_s, None)

    async def close(self) -> None:
        """Closes the connection; calls under way fail."""
        self._closing.set()
        if self._opened is not None and self._opened.pid == os.getpid():
            await self._opened.channel.close()

    async def _repeated(
        self, attempts: Attempts, method: Method[Request, Response], request: Request
    ) -> Response:
        """Sends the call until it is answered or must not be sent again."""
        self._policy.hedges.earn()
        while True:
            token = await self._token(attempts)
            try:
                return await self._sent(attempts, method, request, token)
            except RecommenderError as error:
                await self._wait(attempts.pause_s(error, token), attempts.budget)

    async def _token(self, attempts: Attempts) -> str | None:
        tokens = self._policy.tokens
        if tokens is None:
            return None
        token = tokens.current()
        if token is None:
            fetching = tokens.fetch()
            await self._wait(attempts.remaining_s(), attempts.budget, fetching.ended)
            token = fetching.token()
        return token

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
        if self._closing.is_set:
            raise closed_error()
        opened, loop = self._opened, asyncio.get_running_loop()
        if opened is None or opened.pid != os.getpid():
            # A channel belongs to the loop it was opened in, which only a call can know.
            channel = open_aio_channel(self._policy.target, self._policy.config)
            opened = self._opened = _Opened(channel, os.getpid(), loop)
        if opened.loop is not loop:
            raise UnusableClientError(
                "the client made its first call in another event loop, must be used in that only; "
                "make a client in each loop"
            )
        found = opened.callables.get(method)
        if found is None:
            found = opened.channel.unary_unary(method.path, method.encode, method.decode)
            opened.callables[method] = found
        return found

    def _fail(self, error: BaseException, budget: TimeBudget | None) -> NoReturn:
        if isinstance(error, asyncio.CancelledError):
            ours = cancelled(self._closing.is_set, budget)
        else:
            ours = translated(error, self._closing.is_set, budget)
        if ours is None:
            raise error
        raise ours from error

    async def _wait(
        self, wait_s: float, budget: TimeBudget | None, ended: Watched | None = None
    ) -> None:
        """Waits; as `BlockingCalls._wait`."""
        woken = asyncio.Event()
        wake = _from_any_thread(woken.set)
        with watching(wake, self._closing, budget, ended), suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await woken.wait()
        if self._closing.is_set:
            raise closed_error()
        if budget is not None:
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
        cancel = _from_any_thread(self._cancel)
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
        # Cancelled while the call before was waited for, `_cancel` has not seen this one.
        if self._budget is not None and self._budget.is_cancelled:
            call.cancel()

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


def _from_any_thread(act: Callable[[], object]) -> Callable[[], None]:
    """Returns what has the running loop act, and does nothing once the loop is closed."""
    loop = asyncio.get_running_loop()

    def tell() -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(act)

    return tell
