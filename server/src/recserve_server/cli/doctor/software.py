"""Python and libraries."""

import platform
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Final

from packaging.requirements import Requirement

from recserve_server.cli.doctor.finding import Finding
from recserve_server.config import ServerConfig
from recserve_server.models.artifact import ArtifactError, find_versions, read_manifest
from recserve_server.models.refusal import VersionRefused

_TOLD: Final = ("grpcio", "protobuf", "numpy", "tensorflow", "scann")
_TIMEOUT_S: Final = 120
# In a process of its own: it takes seconds and 400 MB, and may end the process that tries.
_PREPARE: Final = """\
import sys
from recserve_server.model_process.saved_model import prepare
prepare(sys.argv[1], 1)
"""


def look_at_software(config: ServerConfig) -> Iterator[Finding]:
    """Holds what is installed against what the package needs, and tries TensorFlow."""
    yield Finding.ok("python", f"{platform.python_version()} at {sys.executable}")
    missing = [text for each in requires("recserve-server") or () if (text := _problem(each))]
    if missing:
        advice = "install recserve-server anew, in an environment of its own"
        yield Finding.fail("packages", ", ".join(missing), advice)
    else:
        yield Finding.ok("packages", ", ".join(_installed()))
    for kind in sorted(_index_kinds(config)):
        yield _look_at_tensorflow(kind)


def _problem(text: str) -> str:
    """Returns what is wrong with a requirement, nothing if it is met or need not be."""
    requirement = Requirement(text)
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return ""
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return f"{requirement.name} is missing"
    if requirement.specifier.contains(found, prereleases=True):
        return ""
    return f"{requirement.name} is {found}, must be {requirement.specifier}"


def _installed() -> Iterator[str]:
    for name in _TOLD:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue


def _index_kinds(config: ServerConfig) -> set[str]:
    """Returns the kinds of indexes that models here have; `exact` needs TensorFlow alone."""
    kinds = {"exact"}
    try:
        found = find_versions(config.models_dir)
    except ArtifactError:
        return kinds
    for each in found:
        try:
            kinds.add(read_manifest(each).index.kind)
        except VersionRefused:
            continue
    return kinds & {"exact", "scann"}


def _look_at_tensorflow(kind: str) -> Finding:
    what = "tensorflow" if kind == "exact" else f"tensorflow with {kind}"
    try:
        tried = subprocess.run(
            [sys.executable, "-c", _PREPARE, kind],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Finding.fail(what, f"not imported within {_TIMEOUT_S} s", "is the disk this slow?")
    if tried.returncode < 0:
        seen = f"importing it ended the process by signal {-tried.returncode}"
        return Finding.fail(what, seen, "signal 4 means that the processor lacks AVX")
    if tried.returncode:
        reason = (tried.stderr.strip().splitlines() or ["no reason given"])[-1]
        advice = "pip install 'recserve-server[scann]'" if kind == "scann" else "install it anew"
        return Finding.fail(what, f"cannot be imported: {reason}", advice)
    return Finding.ok(what, "can be imported")
