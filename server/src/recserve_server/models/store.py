"""All models of a server: which versions there are, and who answers whom."""

import asyncio
from collections.abc import Callable, Sequence

from recserve_server.config import ServerConfig
from recserve_server.errors import NotReady, UnknownModel
from recserve_server.models.artifact import ArtifactError, VersionPath, find_versions
from recserve_server.models.labels import Labels, read_labels, write_labels
from recserve_server.models.lineup import Lineup, LineupStats
from recserve_server.models.loading import OpenModel, VersionLoader
from recserve_server.models.version import ModelVersion, State


class NoModelError(Exception):
    """There is nothing to serve; the text says why in one line."""


class ModelStore:
    """Looks for versions, loads what is wanted, and says who answers; for one event loop.

    What a scrape reads from another thread are whole objects: lists and counts.
    """

    def __init__(self, config: ServerConfig, open_model: OpenModel) -> None:
        """Takes where and which models to look for, and how to open a verified version."""
        self._config, self._loader = config, VersionLoader(config, open_model)
        self.stats = LineupStats()
        self._lineups: dict[str, Lineup] = {}
        self._default: Lineup | None = None
        self._others: list[ModelVersion] = []
        self._labels_of_others: dict[str, Labels] = {}
        self._refreshing = asyncio.Lock()
        self._labelling = asyncio.Lock()
        self._listeners: list[Callable[[], None]] = []

    @property
    def lineups(self) -> Sequence[Lineup]:
        """What is served, the model of requests that name none first."""
        return list(self._lineups.values())

    @property
    def is_ready(self) -> bool:
        """Whether every model answers."""
        return bool(self._lineups) and all(each.is_ready for each in self._lineups.values())

    def on_change(self, listener: Callable[[], None]) -> None:
        """Has `listener` called whenever versions, or whether they answer, have changed."""
        self._listeners.append(listener)

    async def load(self) -> None:
        """Loads what is to be served at start; older versions stand in for bad ones.

        Raises:
            NoModelError: of some model nothing can be served, or it is not clear what to serve.
        """
        found = await self._found()
        self._name_models(found)
        try:
            await self.reload()
        except ValueError as error:
            raise NoModelError(str(error)) from error
        self.require_stable()

    def require_stable(self) -> None:
        """Makes sure that every model has a version that answers by default.

        Raises:
            NoModelError: one has none.
        """
        for lineup in self._lineups.values():
            if lineup.stable is None:
                raise NoModelError(_reason(lineup))

    async def refresh(self, *, again: bool = False) -> None:
        """Looks at the model directory and does what has become necessary.

        Args:
            again: whether versions that were refused are tried again though they did not change.

        Raises:
            NoModelError: the directory cannot be listed; what serves goes on.
        """
        async with self._refreshing:
            found = await self._found()
            self._others = [ModelVersion(each) for each in found if each.name not in self._lineups]
            for lineup in self._lineups.values():
                ours = [each for each in found if each.name == lineup.name]
                beside = [
                    live
                    for other in self._lineups.values()
                    if other is not lineup
                    for live in other.live.values()
                ]
                await lineup.refresh(ours, beside, again=again)

    async def reload(self) -> None:
        """Reads the labels file, if there is one, then refreshes, refused versions included.

        Raises:
            ValueError: the file is not as it must be; nothing changed.
            NoModelError: the directory cannot be listed; what serves goes on.
        """
        async with self._labelling:
            await asyncio.to_thread(self._read_labels)
            await self.refresh(again=True)

    async def set_labels(self, name: str, choose: Callable[[Lineup], Labels]) -> None:
        """Gives a model's labels to other versions, loading them first, and keeps them.

        Args:
            name: the model, "" for the one of requests that name none.
            choose: returns the labels, from what is so when it is this change's turn; raises
                ValueError if there are none.

        Raises:
            UnknownModel: the model is not served.
            ValueError: a version cannot be loaded, or the labels cannot be kept; nothing changed.
        """
        async with self._labelling:
            lineup = self.lineup(name)
            before, lineup.labels = lineup.labels, choose(lineup)
            try:
                await self.refresh(again=True)
                for number in lineup.labels.versions:
                    if number not in lineup.live:
                        raise ValueError(_why_not_loaded(lineup, number))
                await asyncio.to_thread(self._write_labels)
            except (ValueError, NoModelError):
                lineup.labels = before
                await self.refresh()
                raise

    def lineup(self, name: str = "") -> Lineup:
        """Returns the versions of a model, "" for the one of requests that name none.

        Raises:
            NotReady: it is not known yet what is served.
            UnknownModel: the model is not served.
        """
        if self._default is None:
            raise NotReady("the model is being loaded")
        if not name:
            return self._default
        lineup = self._lineups.get(name)
        if lineup is None:
            raise UnknownModel(name)
        return lineup

    def version(self, name: str, number: int) -> ModelVersion:
        """Returns any version found on disk; "" and 0 mean what answers by default.

        Raises:
            NotReady: what answers was asked for and nothing does yet.
            UnknownModel: there is no such version.
        """
        if not number:
            return self.lineup(name).route(0, "stable", "").version
        name = name or self.lineup().name
        for each in self.versions():
            if (each.location.name, each.number) == (name, number):
                return each
        raise UnknownModel(name, number)

    def versions(self) -> list[ModelVersion]:
        """Returns all versions found on disk or loaded, by name, newest first."""
        found = list(self._others)
        for lineup in self._lineups.values():
            found += list(lineup.versions.values())
        return sorted(found, key=lambda each: (each.location.name, -each.number))

    def labels_of(self, version: ModelVersion) -> list[str]:
        """Returns what a version is to callers: stable, canary, both or nothing."""
        lineup = self._lineups.get(version.location.name)
        if lineup is None:
            return []
        named = (("stable", lineup.stable), ("canary", lineup.canary))
        return [label for label, live in named if live and live.version is version]

    def canary_percent(self, version: ModelVersion) -> float:
        """Returns the share of users whom a model's canary answers."""
        return self._lineups[version.location.name].labels.canary_percent

    async def end(self) -> None:
        """Answers who waits, then frees everything."""
        await asyncio.gather(*(each.end() for each in self._lineups.values()))

    def _changed(self) -> None:
        for listener in self._listeners:
            listener()

    async def _found(self) -> list[VersionPath]:
        try:
            return await asyncio.to_thread(find_versions, self._config.models_dir)
        except ArtifactError as error:
            raise NoModelError(str(error)) from error

    def _name_models(self, found: Sequence[VersionPath]) -> None:
        if self._lineups:
            return
        there = sorted({each.name for each in found})
        folder = self._config.models_dir
        if not there:
            raise NoModelError(f"{folder} holds no model: expected NAME/VERSION/manifest.json")
        names = self._config.names
        if not names and len(there) > 1:
            raise NoModelError(f"{folder} holds several models, choose by name: {', '.join(there)}")
        for name in names:
            if name not in there:
                raise NoModelError(f"{folder} holds no model {name!r}, only {', '.join(there)}")
        self._lineups = {
            name: Lineup(name, self._config, self._loader, self.stats, self._changed)
            for name in names or there
        }
        self._default = next(iter(self._lineups.values()))

    def _read_labels(self) -> None:
        path = self._config.versions.labels_file
        if path is None:
            return
        labels = read_labels(path)
        for lineup in self._lineups.values():
            lineup.labels = labels.pop(lineup.name, Labels())
        self._labels_of_others = labels  # of another server's models, as it may be

    def _write_labels(self) -> None:
        path = self._config.versions.labels_file
        if path is None:
            return
        try:
            ours = {each.name: each.labels for each in self._lineups.values()}
            write_labels(path, {**self._labels_of_others, **ours})
        except OSError as error:
            raise ValueError(f"labels cannot be kept in {path}: {error.strerror}") from error


def _why_not_loaded(lineup: Lineup, number: int) -> str:
    version = lineup.versions.get(number)
    if version is None:
        known = ", ".join(map(str, sorted(lineup.versions)))
        return f"there is no version {number} of {lineup.name}, only {known}"
    return f"version {number} of {lineup.name} was refused: {version.state_message}"


def _reason(lineup: Lineup) -> str:
    wanted = lineup.labels.versions
    for number in wanted:
        return f"{_why_not_loaded(lineup, number)}; its label in the labels file wants it"
    refused = [each for each in lineup.versions.values() if each.state is State.REFUSED]
    if not refused:
        return f"{lineup.name} has none of the versions that --versions asks for"
    newest = max(refused, key=lambda each: each.number)
    return (
        f"no version of {lineup.name} can be served; the newest, {newest.number}: "
        f"{newest.state_message}"
    )
