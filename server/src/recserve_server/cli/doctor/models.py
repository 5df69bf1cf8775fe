"""The model directory, and whether its versions could be served."""

import datetime
from collections.abc import Iterator, Sequence

from recserve.artifact.v1 import manifest_pb2
from recserve_server.cli.doctor.finding import Finding
from recserve_server.config import MemoryPolicy, ServerConfig
from recserve_server.models import memory
from recserve_server.models.artifact import (
    ArtifactError,
    VersionPath,
    files_bytes,
    find_versions,
    read_manifest,
    verify_files,
)
from recserve_server.models.refusal import VersionRefused


def look_at_models(config: ServerConfig) -> Iterator[Finding]:
    """Verifies every version of the models to serve, as a server would before it loads them."""
    try:
        found = find_versions(config.models_dir)
    except ArtifactError as error:
        yield Finding.fail("models", str(error), "--models names the folder of NAME/VERSION")
        return
    names = sorted({each.name for each in found})
    yield _look_at_names(config, names)
    newest: list[manifest_pb2.Manifest] = []
    for name in config.names or names[:1]:
        good: list[manifest_pb2.Manifest] = []
        for version in (each for each in found if each.name == name):
            yield from _look_at_version(version, good)
        newest += good[:1]
        if not good and name in names:
            yield Finding.fail(f"model {name}", "has no good version", "publish one")
    if newest:
        yield _look_at_memory(config, [files_bytes(each) for each in newest])


def _look_at_names(config: ServerConfig, names: Sequence[str]) -> Finding:
    there = ", ".join(names)
    if not names:
        seen = f"{config.models_dir} holds none"
        return Finding.fail("models", seen, "publish one, as recserve-train does")
    if missing := [each for each in config.names if each not in names]:
        seen = f"no {', '.join(missing)} among {there}"
        return Finding.fail("models", seen, "--name names what to serve")
    if not config.names and len(names) > 1:
        return Finding.fail("models", f"several: {there}", "--name says which to serve")
    return Finding.ok("models", f"{there} in {config.models_dir}")


def _look_at_version(version: VersionPath, good: list[manifest_pb2.Manifest]) -> Iterator[Finding]:
    """Yields what is found of a version, and adds it to the good ones if it is one."""
    what = f"model {version.name} version {version.version}"
    try:
        manifest = read_manifest(version)
        verify_files(version.path, manifest)
    except VersionRefused as error:
        yield Finding.warn(what, f"would be refused: {error}", "publish it anew or delete it")
        return
    good.append(manifest)
    created = manifest.create_time.ToDatetime(datetime.UTC)
    size = memory.in_mib(files_bytes(manifest))
    seen = f"{manifest.index.kind} index, {manifest.model.item_count} items, {size}, good"
    if created > datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=5):
        yield Finding.warn(what, f"{seen}, but from the future: {created}", "is the clock right?")
    else:
        yield Finding.ok(what, f"{seen}, made {created:%Y-%m-%d %H:%M}")


def _look_at_memory(config: ServerConfig, sizes_bytes: Sequence[int]) -> Finding:
    needed = sum(map(memory.bytes_needed, sizes_bytes))
    available = memory.bytes_available()
    seen = f"{memory.in_mib(available)} available, about {memory.in_mib(needed)} needed"
    if available < needed:
        return Finding.fail("memory", seen, "give it more, or serve fewer or smaller models")
    beside = memory.bytes_needed(max(sizes_bytes))
    if config.versions.memory_policy is MemoryPolicy.FRUGAL:
        return Finding.ok("memory", seen)
    if available < needed + beside:
        advice = "give it more, or --memory-policy frugal, which fails calls meanwhile"
        more = f"{memory.in_mib(beside)} more while a version is replaced"
        return Finding.warn("memory", f"{seen}, {more}", advice)
    return Finding.ok("memory", f"{seen}, enough to replace a version, too")
