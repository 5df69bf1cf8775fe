"""A loaded version, and whoever is being answered by it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from recserve_server.batching.batcher import MicroBatcher
from recserve_server.config import BatchingConfig
from recserve_server.model import ModelRunner
from recserve_server.models.version import ModelVersion
from recserve_server.query import Question, Schema

_log = logging.getLogger(__name__)
_LONGEST_LOOK_S = 1.0
_TIME_TO_END_S = 10.0

Reopen = Callable[[], Awaitable[ModelRunner]]
"""Opens the same version once more; raises VersionRefused if it cannot be served any more."""


class LiveModel:
    """One version that answers; as a context, for as long as a caller needs it to.

    A version that is retired goes on answering whoever came before. One whose process crashes or
    hangs gets another process.
    """

    def __init__(
        self, version: ModelVersion, runner: ModelRunner, config: BatchingConfig, reopen: Reopen
    ) -> None:
        """Takes what answers, and how to open it again; `supervise` it from then on."""
        self.version = version
        self.batcher: MicroBatcher[Question, bytes] = MicroBatcher(runner, config)
        self._runner, self._config, self._reopen = runner, config, reopen
        self._is_gone = False
        self._callers = 0
        self._is_retired = False
        self._unused = asyncio.Event()

    @property
    def schema(self) -> Schema:
        """What requests may name."""
        return self.version.schema

    @property
    def runner(self) -> ModelRunner:
        """What runs its batches now."""
        return self._runner

    @property
    def is_answering(self) -> bool:
        """Whether requests get answers: its process is there and does not hang."""
        return not (self._is_gone or self.batcher.hanging)

    def __enter__(self) -> Self:
        self._callers += 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._callers -= 1
        if self._is_retired and not self._callers:
            self._unused.set()

    async def supervise(self, on_change: Callable[[], None]) -> None:
        """Replaces processes that crash or hang, until the version is retired.

        Args:
            on_change: called whenever `is_answering` has changed.

        Raises:
            VersionRefused: the process ended and the version cannot be opened again.
        """
        looking = asyncio.create_task(self._look_for_hanging(on_change))
        try:
            while not self._is_retired:
                exit_code = await self._runner.wait_until_gone()
                if self._is_retired:
                    return
                await self._replace(exit_code, on_change)
        finally:
            looking.cancel()

    async def retire(self) -> None:
        """Waits for whoever is being answered, then frees the version."""
        self._is_retired = True
        if self._callers:
            await self._unused.wait()
        await self.end()

    async def end(self) -> None:
        """Answers who waits, then frees the version; whoever comes now is refused."""
        self._is_retired = True
        await self.batcher.close()
        if self.batcher.hanging:
            self._runner.kill()  # it would not see that nobody needs it any more
        try:
            async with asyncio.timeout(_TIME_TO_END_S):
                await self._runner.wait_until_gone()
        except TimeoutError:
            _log.warning("a model process did not end by itself", extra=self.version.fields)
            self._runner.kill()

    async def _replace(self, exit_code: int, on_change: Callable[[], None]) -> None:
        _log.error(
            "the model process ended, starting another",
            extra={**self.version.fields, "code": exit_code},
        )
        self._is_gone = True
        on_change()
        runner = await self._reopen()
        if self._is_retired:
            runner.close()  # nobody would do it later
            return
        self._runner = runner
        self.batcher.replace(runner)
        self._is_gone = False
        on_change()

    async def _look_for_hanging(self, on_change: Callable[[], None]) -> None:
        told = False
        while True:
            await asyncio.sleep(min(_LONGEST_LOOK_S, self._config.watchdog_s / 4))
            self.batcher.check_hanging()
            if self.batcher.hanging != told:
                told = self.batcher.hanging
                on_change()
                if told:
                    self._runner.kill()
