"""Callers who check every answer against the version that it names, and what they met."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from versions_world import USERS, best, publish

from recserve_client import (
    AsyncRecommenderClient,
    ChannelConfig,
    Recommendation,
    RecommenderError,
)

NO_RETRIES = ChannelConfig(max_attempts=1)


def move_in(models_dir: Path, version: int, name: str = "films") -> Path:
    """Publishes a version as the trainer does: written elsewhere, moved into place in one step."""
    made = publish(models_dir.parent / "made", version, name=name)
    return made.rename(models_dir / name / str(version))


@dataclass
class Load:
    """Callers at work, one call after another each."""

    client: AsyncRecommenderClient
    versions: Counter[int] = field(default_factory=Counter)
    """Answers by the version that gave them."""
    wrong: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    _is_over: bool = False

    @property
    def answered(self) -> int:
        return self.versions.total()

    def stop(self) -> None:
        self._is_over = True

    async def work(self, number: int) -> None:
        """Asks until it is told to stop; every fourth caller asks for several users at once."""
        user = number
        while not self._is_over:
            user = (user + 1) % USERS
            try:
                if number % 4:
                    self._check([await self.client.recommend(f"u{user}", k=7)], [user])
                else:
                    users = [(user + place) % USERS for place in range(6)]
                    ids = [f"u{each}" for each in users]
                    self._check(await self.client.recommend_batch(ids, k=7), users)
            except RecommenderError as error:
                self.failed.append(f"{type(error).__name__}: {error}")

    def _check(self, answers: Iterable[Recommendation], users: list[int]) -> None:
        for answer, user in zip(answers, users, strict=True):
            self.versions[answer.model_version] += 1
            got = [item.item_id for item in answer]
            if answer.user_id != f"u{user}" or got != best(answer.model_version, user, 7):
                self.wrong.append(f"u{user} by version {answer.model_version}: {got}")


@contextlib.asynccontextmanager
async def under_load(
    *addresses: str, callers: int = 16, config: ChannelConfig = NO_RETRIES
) -> AsyncIterator[Load]:
    """Has callers at work for as long as the context lasts; `stop` ends them earlier."""
    target: str | list[str] = addresses[0] if len(addresses) == 1 else list(addresses)
    async with AsyncRecommenderClient(target, timeout_s=20.0, config=config) as client:
        load = Load(client)
        working = [asyncio.create_task(load.work(number)) for number in range(callers)]
        try:
            yield load
        finally:
            load.stop()
            await asyncio.gather(*working)


async def until(condition: Callable[[], bool | Awaitable[bool]], timeout_s: float = 30.0) -> None:
    """Waits until a condition holds."""
    async with asyncio.timeout(timeout_s):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)
