"""The versions on disk, and the one that serves."""

import datetime
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from recserve.artifact.v1 import manifest_pb2
from recserve_server.config import ServerConfig
from recserve_server.errors import NotReady, UnknownModel
from recserve_server.model import ModelRunner
from recserve_server.models.artifact import (
    ArtifactError,
    VersionPath,
    find_versions,
    read_manifest,
    verify_files,
)
from recserve_server.query import Schema

_log = logging.getLogger(__name__)


OpenModel = Callable[[ServerConfig, Path, manifest_pb2.Manifest], ModelRunner]
"""Loads and warms up a verified version; raises OSError or ValueError if it cannot be served."""


class State(Enum):
    """What became of a version; named as in recserve.v1.ModelState."""

    AVAILABLE = "available"
    LOADING = "loading"
    SERVING = "serving"
    REFUSED = "refused"


@dataclass(slots=True)
class ModelVersion:
    """One version on disk and what the server made of it."""

    location: VersionPath
    state: State = State.AVAILABLE
    state_message: str = ""
    manifest: manifest_pb2.Manifest = field(default_factory=manifest_pb2.Manifest)
    schema: Schema = field(default_factory=Schema)
    """What requests may name; empty until it is loaded."""
    load_time: datetime.datetime | None = None


class NoModelError(Exception):
    """There is nothing to serve; the text says why in one line."""


class ModelStore:
    """Loads the newest good version of one model.

    `load` runs on any one thread; what it changes is read by others only as whole objects.
    """

    def __init__(self, config: ServerConfig, open_model: OpenModel) -> None:
        """Takes where and which model to look for, and how to open a verified version."""
        self._config, self._open_model = config, open_model
        self._versions: list[ModelVersion] = []
        self._serving: ModelVersion | None = None

    def load(self) -> ModelRunner:
        """Verifies, loads and warms up the newest version that passes; older ones are the fallback.

        Raises:
            NoModelError: none passed, or it is not clear which model to serve.
        """
        try:
            self._versions = [
                ModelVersion(found) for found in find_versions(self._config.models_dir)
            ]
        except ArtifactError as error:
            raise NoModelError(str(error)) from error
        for version in self._candidates():
            model = self._try(version)
            if model is not None:
                self._serving = version
                return model
        refused = next(each for each in self._versions if each.state is State.REFUSED)
        raise NoModelError(
            f"no version of {refused.location.name} can be served; the newest, "
            f"{refused.location.version}: {refused.state_message}"
        )

    def serving(self, name: str = "") -> ModelVersion:
        """Returns the version that answers requests for `name`, "" for any.

        Raises:
            NotReady: none is loaded yet.
            UnknownModel: the model that serves has another name.
        """
        if self._serving is None:
            raise NotReady("the model is being loaded")
        if name and name != self._serving.location.name:
            raise UnknownModel(name)
        return self._serving

    def version(self, name: str, version: int) -> ModelVersion:
        """Returns any version found on disk; "" and 0 mean what is serving.

        Raises:
            NotReady: the serving one was asked for and none is loaded yet.
            UnknownModel: there is no such version.
        """
        if not version:
            return self.serving(name)
        name = name or self.serving().location.name
        for each in self._versions:
            if (each.location.name, each.location.version) == (name, version):
                return each
        raise UnknownModel(name, version)

    def versions(self) -> list[ModelVersion]:
        """Returns all versions found on disk, by name, newest first."""
        return list(self._versions)

    def _candidates(self) -> list[ModelVersion]:
        names = sorted({each.location.name for each in self._versions})
        if not names:
            raise NoModelError(
                f"{self._config.models_dir} holds no model: expected NAME/VERSION/manifest.json"
            )
        if not self._config.name and len(names) > 1:
            raise NoModelError(
                f"{self._config.models_dir} holds several models, choose one by name: "
                f"{', '.join(names)}"
            )
        name = self._config.name or names[0]
        if name not in names:
            raise NoModelError(
                f"{self._config.models_dir} holds no model {name!r}, only {', '.join(names)}"
            )
        return [each for each in self._versions if each.location.name == name]

    def _try(self, version: ModelVersion) -> ModelRunner | None:
        version.state = State.LOADING
        try:
            version.manifest = read_manifest(version.location)
            verify_files(version.location.path, version.manifest)
            model = self._open_model(self._config, version.location.path, version.manifest)
        except (ArtifactError, OSError, ValueError) as error:
            version.state, version.state_message = State.REFUSED, str(error)
            _log.error(
                "refused a model version",
                extra={
                    "model": version.location.name,
                    "version": version.location.version,
                    "reason": str(error),
                },
            )
            return None
        version.load_time = datetime.datetime.now(datetime.UTC)
        version.schema = model.schema
        version.state = State.SERVING
        return model
