"""From a folder to an answering model, or to the reason why not."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from recserve.artifact.v1 import manifest_pb2
from recserve_server.batching.terms import Priority, Terms
from recserve_server.config import MemoryPolicy, ServerConfig
from recserve_server.errors import ServingError
from recserve_server.model import ModelRunner, Replayed
from recserve_server.models import memory
from recserve_server.models.artifact import files_bytes, read_manifest, verify_files
from recserve_server.models.golden import item_ids, mean_overlap
from recserve_server.models.live import LiveModel
from recserve_server.models.refusal import Refusal, VersionRefused, reason_of
from recserve_server.models.version import ModelVersion

_log = logging.getLogger(__name__)

OpenModel: TypeAlias = Callable[
    [ServerConfig, Path, manifest_pb2.Manifest, bool], Awaitable[ModelRunner]
]
"""Loads, warms up and asks a verified version; the last argument tells whether another one serves
meanwhile. Raises OSError or ValueError (a `VersionRefused`, at best) if it cannot be served."""


class VersionLoader:
    """Verifies and opens versions; every reason against one is a `VersionRefused`."""

    def __init__(self, config: ServerConfig, open_model: OpenModel) -> None:
        self._config, self._open_model = config, open_model

    async def verify(self, version: ModelVersion) -> None:
        """Reads the manifest and holds every file against it.

        Raises:
            VersionRefused: something is wrong.
        """
        version.manifest = await asyncio.to_thread(_verified, version)

    async def open(
        self, version: ModelVersion, loaded: Sequence[LiveModel], serving: LiveModel | None
    ) -> ModelRunner:
        """Opens a verified version off the serving path, and asks it its golden queries.

        Args:
            version: what to open; what is learnt of it is noted there.
            loaded: all that are in memory, of whatever name.
            serving: the version of the same model whose answers the new one's are held against.

        Raises:
            VersionRefused: it does not fit, cannot be loaded, or answers otherwise than it must.
        """
        if loaded:
            self._check_memory(version)
        try:
            runner = await self._open_model(
                self._config, version.location.path, version.manifest, bool(loaded)
            )
        except VersionRefused:
            raise
        except (OSError, ValueError) as error:
            raise VersionRefused(Refusal.FAILED, reason_of(error)) from error
        try:
            self._check_golden(version, runner.replayed)
            if serving is not None:
                await self._compare(version, runner.replayed, serving)
        except BaseException:
            runner.close()
            runner.kill()
            await runner.wait_until_gone()
            raise
        version.schema = runner.schema
        return runner

    async def reopen(self, version: ModelVersion) -> ModelRunner:
        """Opens a version again whose process has ended.

        Raises:
            VersionRefused: it cannot be served any more.
        """
        await self.verify(version)
        return await self.open(version, (), None)

    def _check_memory(self, version: ModelVersion) -> None:
        needed = memory.bytes_needed(files_bytes(version.manifest))
        available = memory.bytes_available()
        if needed <= available:
            return
        advice = ""
        if self._config.versions.memory_policy is MemoryPolicy.AVAILABILITY:
            advice = "; --memory-policy frugal frees the old version first"
        raise VersionRefused(
            Refusal.NO_MEMORY,
            f"it needs about {memory.in_mib(needed)} and {memory.in_mib(available)} are "
            f"available{advice}",
        )

    def _check_golden(self, version: ModelVersion, replayed: Replayed) -> None:
        version.golden_overlap = replayed.overlap
        if replayed.overlap is None:
            return
        wanted = self._config.versions.min_golden_overlap * replayed.expected_overlap
        if replayed.overlap < wanted:
            raise VersionRefused(
                Refusal.UNLIKE_EXPORT,
                f"it answers {replayed.overlap:.3f} of the items that its golden queries expect, "
                f"at least {wanted:.3f} is required",
            )

    async def _compare(self, version: ModelVersion, replayed: Replayed, serving: LiveModel) -> None:
        if not replayed.questions:
            return
        try:
            with serving:
                answers = await serving.batcher.submit_group(
                    replayed.questions, Terms(priority=Priority.BATCH)
                )
        except ServingError as error:
            # A version is not kept out because the one before is busy or broken.
            _log.warning("golden queries were not compared", extra={"reason": str(error)})
            return
        answered = [item_ids(answer) for answer in answers]
        version.serving_overlap = mean_overlap(answered, replayed.answered)
        wanted = self._config.versions.min_serving_overlap
        if version.serving_overlap is not None and version.serving_overlap < wanted:
            raise VersionRefused(
                Refusal.UNLIKE_SERVING,
                f"it answers {version.serving_overlap:.3f} of the items that version "
                f"{serving.version.number} answers, at least {wanted:g} is required; "
                "--min-serving-overlap says so",
            )


def _verified(version: ModelVersion) -> manifest_pb2.Manifest:
    manifest = read_manifest(version.location)
    verify_files(version.location.path, manifest)
    return manifest
