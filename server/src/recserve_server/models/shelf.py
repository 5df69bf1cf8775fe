"""The versions of one model on disk: what became of each, and how one is loaded."""

import asyncio
import datetime
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final, NamedTuple

from recserve_server.config import BatchingConfig
from recserve_server.models.artifact import VersionPath, fingerprint
from recserve_server.models.live import LiveModel
from recserve_server.models.loading import VersionLoader
from recserve_server.models.refusal import Refusal, VersionRefused
from recserve_server.models.version import ModelVersion, State
from recserve_server.stats import VersionStats

_log = logging.getLogger(__name__)
_MEMORY_RETRY_S: Final = 60.0


class Surroundings(NamedTuple):
    """What is there when a version is loaded."""

    beside: Sequence[LiveModel]
    """All that are in memory."""
    serving: LiveModel | None
    """Whose answers the new version's are held against."""


class Shelf:
    """All versions of one model, found or loaded; to be used from one event loop."""

    def __init__(
        self, name: str, loader: VersionLoader, config: BatchingConfig, stats: VersionStats
    ) -> None:
        """Takes the model's name, what opens versions, how they batch, and what counts them."""
        self.versions: dict[int, ModelVersion] = {}
        """By number."""
        self._name, self._loader, self._config, self._stats = name, loader, config, stats

    def note(self, found: Sequence[VersionPath], loaded: Collection[int]) -> None:
        """Takes note of what is on disk; what is gone is forgotten, unless it is loaded."""
        on_disk = {each.version: each for each in found}
        for number in set(self.versions) - set(on_disk) - set(loaded):
            del self.versions[number]
        for number, location in on_disk.items():
            self.versions.setdefault(number, ModelVersion(location))

    async def is_worth_trying(self, number: int, *, again: bool) -> bool:
        """Tells whether a version may be loaded.

        One that was refused is, once it has become another and stays as it is by now; or if `again`
        says so. One for which there was no memory may fit later as it is.
        """
        version = self.versions.get(number)
        if version is None or version.state is not State.REFUSED or again:
            return version is not None
        now = await asyncio.to_thread(fingerprint, version.location.path)
        was, version.seen = version.seen, now
        if version.refusal is Refusal.NO_MEMORY:
            return time.monotonic() - version.refused_s >= _MEMORY_RETRY_S
        return now == was != version.fingerprint

    async def load(
        self, number: int, make_room: Callable[[int], Awaitable[Surroundings]]
    ) -> LiveModel | None:
        """Verifies and loads a version; None, and a reason in the log, if it is refused.

        Args:
            number: one of `versions`.
            make_room: called once its files are known to be good; says what is there by then.
        """
        version, start_s = self.versions[number], time.monotonic()
        version.state, version.state_message, version.refusal = State.LOADING, "", None
        version.fingerprint = await asyncio.to_thread(fingerprint, version.location.path)
        try:
            await self._loader.verify(version)
            runner = await self._loader.open(version, *await make_room(number))
        except VersionRefused as error:
            self.refuse(version, error)
            return None
        except (OSError, ValueError) as error:  # of a kind that nobody thought of
            self.refuse(version, VersionRefused(Refusal.FAILED, repr(error)))
            return None
        except BaseException:
            version.state = State.AVAILABLE  # whoever loaded it does not wait for it any more
            raise
        version.state, version.load_time = State.SERVING, datetime.datetime.now(datetime.UTC)
        self._stats.loads[self._name, "loaded"] += 1
        self._stats.load_s.add(time.monotonic() - start_s)
        golden = {"golden_overlap": version.golden_overlap}
        _log.info("loaded a model version", extra={**version.fields, **golden})
        return LiveModel(version, runner, self._config, lambda: self._loader.reopen(version))

    def refuse(self, version: ModelVersion, error: VersionRefused) -> None:
        """Notes, logs and counts why a version is not served."""
        version.state, version.state_message = State.REFUSED, str(error)
        version.refusal, version.seen = error.kind, version.fingerprint
        version.refused_s = time.monotonic()
        self._stats.loads[self._name, "refused"] += 1
        self._stats.refused[self._name, error.kind.value] += 1
        reason = {"reason": str(error), "kind": error.kind.value}
        _log.error("refused a model version", extra={**version.fields, **reason})
