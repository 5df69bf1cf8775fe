"""The commands: what an operator says, done to the models."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from recserve_server.errors import NotReady, UnknownModel
from recserve_server.models import memory
from recserve_server.models.labels import Labels
from recserve_server.models.lineup import Lineup
from recserve_server.models.store import ModelStore, NoModelError
from recserve_server.models.version import ModelVersion
from recserve_server.observing.profiling import ProfileError, Profiler

_DEFAULT_PERCENT = 10.0


class Commands:
    """Runs commands; those that change something wait for one another."""

    def __init__(self, store: ModelStore) -> None:
        """Takes the models."""
        self._store = store
        self._profiler = Profiler()
        self._commands: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "reload": self._reload_all,
            "pin": self._pin,
            "unpin": self._unpin,
            "rollback": self._roll_back,
            "canary": self._canary,
            "promote": self._promote,
            "profile": self._profile,
        }

    async def run(self, command: dict[str, Any]) -> dict[str, object]:
        """Runs a command and returns the status after it.

        Raises:
            ValueError: it is unknown, or cannot be done; the text says why.
        """
        name = command.get("command")
        if name != "status":
            act = self._commands.get(str(name))
            if act is None:
                known = ", ".join(["status", *self._commands])
                raise ValueError(f"command {name!r} is unknown, there are {known}")
            try:
                await act(command)
            except (NoModelError, NotReady, ProfileError, UnknownModel) as error:
                raise ValueError(str(error)) from error
        return {"models": [self._status(lineup) for lineup in self._store.lineups]}

    async def _reload_all(self, command: dict[str, Any]) -> None:
        await self._store.reload()

    async def _pin(self, command: dict[str, Any]) -> None:
        number = _number(command)
        await self._store.set_labels(self._name(command), lambda of: _pinned(of, number))

    async def _unpin(self, command: dict[str, Any]) -> None:
        await self._store.set_labels(self._name(command), lambda of: Labels())

    async def _roll_back(self, command: dict[str, Any]) -> None:
        await self._store.set_labels(self._name(command), _rolled_back)

    async def _canary(self, command: dict[str, Any]) -> None:
        number, percent = _number(command), command.get("percent", _DEFAULT_PERCENT)
        await self._store.set_labels(
            self._name(command), lambda of: _with_canary(of, number, percent)
        )

    async def _promote(self, command: dict[str, Any]) -> None:
        await self._store.set_labels(self._name(command), _promoted)

    async def _profile(self, command: dict[str, Any]) -> None:
        seconds, file = command.get("seconds"), command.get("file")
        if type(seconds) not in (int, float) or not isinstance(file, str):
            raise ValueError("profile needs seconds, a number, and file, a path")
        await self._profiler.run(float(cast(float, seconds)), Path(file))

    def _name(self, command: dict[str, Any]) -> str:
        name = str(command.get("name") or "")
        if not name and len(self._store.lineups) > 1:
            known = ", ".join(each.name for each in self._store.lineups)
            raise ValueError(f"there are several models, say which: {known}")
        return name

    def _status(self, lineup: Lineup) -> dict[str, object]:
        versions = sorted(lineup.versions.values(), key=lambda each: -each.number)
        return {
            "name": lineup.name,
            "is_ready": lineup.is_ready,
            "pinned": bool(lineup.labels.stable),
            "canary_percent": lineup.labels.canary_percent,
            "previous": lineup.previous,
            "versions": [self._version_status(lineup, each) for each in versions],
        }

    def _version_status(self, lineup: Lineup, version: ModelVersion) -> dict[str, object]:
        live = lineup.live.get(version.number)
        loaded_at = version.load_time
        return {
            "version": version.number,
            "state": version.state.value,
            "labels": self._store.labels_of(version),
            "message": version.state_message,
            "golden_overlap": version.golden_overlap,
            "serving_overlap": version.serving_overlap,
            "load_time": loaded_at.isoformat(timespec="seconds") if loaded_at else None,
            "queue_depth": live.batcher.queue_depth if live else 0,
            "resident_bytes": memory.resident_bytes([live.runner.process_id]) if live else 0,
        }


def _pinned(lineup: Lineup, number: int) -> Labels:
    before = _stable_number(lineup)
    previous = before if before != number else lineup.labels.previous
    return Labels(stable=number, previous=previous)


def _rolled_back(lineup: Lineup) -> Labels:
    if not lineup.previous:
        raise ValueError(f"there is no version of {lineup.name} to roll back to")
    return _pinned(lineup, lineup.previous)


def _with_canary(lineup: Lineup, number: int, percent: object) -> Labels:
    stable = _stable_number(lineup)
    if number == stable:
        raise ValueError(f"version {number} of {lineup.name} is stable already")
    # Labels refuse what is no share.
    share = cast(float, percent)
    return replace(lineup.labels, stable=stable, canary=number, canary_percent=share)


def _promoted(lineup: Lineup) -> Labels:
    if not lineup.labels.canary:
        raise ValueError(f"{lineup.name} has no canary to promote")
    return _pinned(lineup, lineup.labels.canary)


def _stable_number(lineup: Lineup) -> int:
    if lineup.stable is None:
        raise NotReady("the model is being loaded")
    return lineup.stable.version.number


def _number(command: dict[str, Any]) -> int:
    number = command.get("version")
    if type(number) is not int or number < 1:
        raise ValueError(f"version is {number!r}, must be 1 or more")
    return number
