"""The versions on disk, and the one that serves."""

import datetime
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from recserve.artifact.v1 import manifest_pb2
from recserve_server.artifact import (
    ArtifactError,
    VersionPath,
    find_versions,
    read_manifest,
    verify_files,
)
from recserve_server.catalogue import Catalogue, Users
from recserve_server.errors import NotReady, UnknownModel
from recserve_server.model import Query, Ranker, Retriever
from recserve_server.ranking import CatalogueRanker

_log = logging.getLogger(__name__)
_WARM_UP_BATCH_SIZES = (1, 2, 64)

OpenRetriever = Callable[[Path], Retriever]
"""Opens the folder of a version; raises OSError or ValueError if it cannot."""


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
    load_time: datetime.datetime | None = None


class NoModelError(Exception):
    """There is nothing to serve; the text says why in one line."""


class ModelStore:
    """Loads the newest good version of one model.

    `load` runs on any one thread; what it changes is read by others only as whole objects.
    """

    def __init__(self, models_dir: Path, name: str, open_retriever: OpenRetriever) -> None:
        """Takes the model's name, "" for the only one there is, and how to open a version."""
        self._models_dir, self._name = models_dir, name
        self._open_retriever = open_retriever
        self._versions: list[ModelVersion] = []
        self._serving: ModelVersion | None = None

    def load(self) -> Ranker:
        """Verifies, loads and warms up the newest version that passes; older ones are the fallback.

        Raises:
            NoModelError: none passed, or it is not clear which model to serve.
        """
        try:
            self._versions = [ModelVersion(found) for found in find_versions(self._models_dir)]
        except ArtifactError as error:
            raise NoModelError(str(error)) from error
        for version in self._candidates():
            ranker = self._try(version)
            if ranker is not None:
                self._serving = version
                return ranker
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
                f"{self._models_dir} holds no model: expected NAME/VERSION/manifest.json"
            )
        if not self._name and len(names) > 1:
            raise NoModelError(
                f"{self._models_dir} holds several models, choose one by name: {', '.join(names)}"
            )
        name = self._name or names[0]
        if name not in names:
            raise NoModelError(
                f"{self._models_dir} holds no model {name!r}, only {', '.join(names)}"
            )
        return [each for each in self._versions if each.location.name == name]

    def _try(self, version: ModelVersion) -> Ranker | None:
        version.state = State.LOADING
        try:
            version.manifest = read_manifest(version.location)
            verify_files(version.location.path, version.manifest)
            ranker = self._open(version)
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
        version.state = State.SERVING
        return ranker

    def _open(self, version: ModelVersion) -> Ranker:
        path, model = version.location.path, version.manifest.model
        catalogue = Catalogue.open(path / "items.arrow")
        users = Users.open(path / "users.arrow")
        if (len(catalogue), len(users)) != (model.item_count, model.user_count):
            raise ArtifactError(
                f"the tables hold {len(catalogue)} items and {len(users)} users, manifest.json "
                f"says {model.item_count} and {model.user_count}"
            )
        ranker = CatalogueRanker(
            self._open_retriever(path),
            catalogue,
            users,
            name=version.location.name,
            version=version.location.version,
        )
        _warm_up(ranker, users)
        return ranker


def _warm_up(ranker: Ranker, users: Users) -> None:
    """Asks for what callers will ask for: the first call of a graph takes many times the rest."""
    user_ids = list(users.row_of)
    if not user_ids:
        raise ValueError("users.arrow holds no users")
    for size in _WARM_UP_BATCH_SIZES:
        # Seen items included: a user who has seen everything rightly gets an empty list.
        queries = [Query(user_ids[i % len(user_ids)], k=10, include_seen=True) for i in range(size)]
        rankings = ranker.rank(queries)
        if any(not ranking.item_ids for ranking in rankings):
            raise ValueError("warm-up gave an empty ranking")
    ranker.rank([Query("", k=10)])
