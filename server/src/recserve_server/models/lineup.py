"""The versions of one model: which are loaded, and who is answered by which."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field

from recserve_server.config import MemoryPolicy, ServerConfig
from recserve_server.errors import LabelUnknown, NotReady, VersionRetired
from recserve_server.models.artifact import VersionPath
from recserve_server.models.labels import Labels, is_canary_user
from recserve_server.models.live import LiveModel
from recserve_server.models.loading import VersionLoader
from recserve_server.models.refusal import VersionRefused
from recserve_server.models.shelf import Shelf, Surroundings
from recserve_server.models.version import ModelVersion, State
from recserve_server.stats import BatchStats, VersionStats

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class LineupStats:
    """What all lineups of a server count."""

    versions: VersionStats = field(default_factory=VersionStats)
    retired: BatchStats = field(default_factory=BatchStats)
    """What batchers did that have gone."""


class Lineup:
    """All versions of one model; to be used from one event loop.

    `refresh` must not run twice at a time.
    """

    def __init__(
        self,
        name: str,
        config: ServerConfig,
        loader: VersionLoader,
        stats: LineupStats,
        on_change: Callable[[], None],
    ) -> None:
        """Takes the model's name, how to open versions, what counts them, and who is told."""
        self.name, self.labels = name, Labels()
        self.live: dict[int, LiveModel] = {}
        """What is loaded and given to callers."""
        self._config, self._stats, self._on_change = config, stats, on_change
        self._shelf = Shelf(name, loader, config.batching, stats.versions)
        self.leaving: set[LiveModel] = set()
        """What answers whom it did before it was retired, and is in memory until then."""
        self._stable: LiveModel | None = None
        self._canary: LiveModel | None = None
        self._previous = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._farewells: set[asyncio.Task[None]] = set()

    @property
    def versions(self) -> dict[int, ModelVersion]:
        """Everything found on disk, and what is loaded though it is not there any more."""
        return self._shelf.versions

    @property
    def stable(self) -> LiveModel | None:
        """The version that answers by default."""
        return self._stable

    @property
    def canary(self) -> LiveModel | None:
        """The version that some users get instead."""
        return self._canary

    @property
    def is_ready(self) -> bool:
        """Whether callers who ask for no version in particular get answers."""
        return self._stable is not None and self._stable.is_answering

    @property
    def previous(self) -> int:
        """The version that a rollback returns to; 0 if there is none."""
        if self.labels.previous or self._previous:
            return self.labels.previous or self._previous
        current = self._stable.version.number if self._stable else 0
        older = [
            number
            for number, version in self.versions.items()
            if number < current and version.state is not State.REFUSED
        ]
        return max(older, default=0)

    def route(self, version: int, label: str, user_id: str) -> LiveModel:
        """Returns who answers a request; to be entered before anything is awaited.

        Args:
            version: the one that must answer, 0 for any.
            label: "stable" or "canary", "" for what the user's share says.
            user_id: who asks, "" for a stranger.

        Raises:
            NotReady: nothing is loaded.
            VersionRetired: that version is not loaded.
            LabelUnknown: no version has that label.
        """
        stable, canary = self._stable, self._canary
        if stable is None:
            raise NotReady("the model is being loaded")
        if version > 0:  # what is less is no version, which validation will tell
            if (live := self.live.get(version)) is None:
                raise VersionRetired(self.name, version, stable.version.number)
            return live
        if label == "canary" and not version:
            if canary is None:
                raise LabelUnknown(self.name, label)
            return canary
        if canary is None or not user_id or label or not canary.is_answering:
            return stable
        percent = self.labels.canary_percent
        number = canary.version.number
        return canary if is_canary_user(self.name, number, user_id, percent) else stable

    async def refresh(
        self, found: Sequence[VersionPath], loaded: Sequence[LiveModel], *, again: bool
    ) -> None:
        """Loads what is wanted, gives it to callers, and retires what is not wanted any more.

        Args:
            found: this model's versions on disk.
            loaded: what other models have in memory.
            again: whether versions that were refused are tried again, changed or not.
        """
        self._shelf.note(found, self.live)
        wanted: list[int] = []
        for number in self._candidates():
            if number in self.live or await self._load(number, loaded, again=again):
                wanted.append(number)
                self._assign(wanted)
            if self._newest and len(wanted) == self._newest:
                break
        if wanted:
            self._assign(wanted)
            serving = {each.version.number for each in (self._stable, self._canary) if each}
            for number in set(self.live) - set(wanted) - serving:
                self._keep(self._farewells, self._say_goodbye(self._take_back(number)))

    async def end(self) -> None:
        """Answers who waits, then frees everything."""
        ending = [each.end() for each in self.live.values()]
        await asyncio.gather(*ending, *self._farewells)
        for task in self._tasks:
            task.cancel()

    @property
    def _asked_for(self) -> tuple[int, ...]:
        """What labels and settings name, the most wanted first; nothing if the newest are."""
        specific = sorted(self._config.versions.policy.specific, reverse=True)
        return tuple(dict.fromkeys([*self.labels.versions, *specific]))

    @property
    def _newest(self) -> int:
        """How many of the newest are wanted; 0 if others are asked for."""
        return 0 if self._asked_for else self._config.versions.policy.newest

    def _candidates(self) -> Sequence[int]:
        """Returns what is to be loaded, or tried until enough is, the most wanted first."""
        return self._asked_for or sorted(self.versions, reverse=True)

    async def _load(self, number: int, loaded: Sequence[LiveModel], *, again: bool) -> bool:
        if not await self._shelf.is_worth_trying(number, again=again):
            return False

        async def make_room(number: int) -> Surroundings:
            if self._config.versions.memory_policy is MemoryPolicy.FRUGAL:
                await self._make_room(number)
            return Surroundings([*loaded, *self.live.values()], self._stable)

        live = await self._shelf.load(number, make_room)
        if live is None:
            return False
        self.live[number] = live
        self._keep(self._tasks, self._supervise(live))
        return True

    def _assign(self, wanted: list[int]) -> None:
        """Gives callers to the versions that are to have them, in one step."""
        before = self._stable
        # Any of them may have been lost while another was being loaded.
        loaded = [each for each in wanted if each in self.live]
        if self.labels.stable:
            # Never the canary: it is to have its share of users, no more.
            stable = self.live.get(self.labels.stable, before)
        else:
            stable = self.live[max(loaded)] if loaded else before
        if before is not None and stable is not None and before is not stable:
            self._previous = before.version.number
        if stable is not None and stable.version.number == self._previous:
            self._previous = 0
        self._stable, self._canary = stable, self.live.get(self.labels.canary)
        self._on_change()

    async def _make_room(self, number: int) -> None:
        """Frees what is not wanted any more once a new version is there, before it is there."""
        wanted = self._asked_for or sorted({*self.live, number}, reverse=True)[: self._newest]
        freed = [self._take_back(each) for each in set(self.live) - set(wanted)]
        if self._stable is not None and self._stable in freed:
            self._previous = self._stable.version.number
            self._stable = self.live.get(self.labels.stable)
        self._canary = None if self._canary in freed else self._canary
        self._on_change()
        await asyncio.gather(*(self._say_goodbye(live) for live in freed))

    def _take_back(self, number: int) -> LiveModel:
        """Gives a version to no further caller."""
        live = self.live.pop(number)
        live.version.state = State.AVAILABLE
        self.leaving.add(live)
        return live

    async def _say_goodbye(self, live: LiveModel) -> None:
        await live.retire()
        self.leaving.discard(live)
        self._stats.retired.absorb(live.batcher.stats)
        _log.info("retired a model version", extra=live.version.fields)

    async def _supervise(self, live: LiveModel) -> None:
        try:
            await live.supervise(self._on_change)
        except VersionRefused as error:
            self._shelf.refuse(live.version, error)
            self.live.pop(live.version.number, None)
            self._canary = None if self._canary is live else self._canary
            self._stable = None if self._stable is live else self._stable
            self._stats.retired.absorb(live.batcher.stats)
            self._on_change()

    @staticmethod
    def _keep(tasks: "set[asyncio.Task[None]]", coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
