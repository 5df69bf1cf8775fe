"""Finds model versions on disk and verifies them against their manifests."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from google.protobuf import json_format

from recserve.artifact.v1 import manifest_pb2
from recserve_server.models.refusal import Refusal, VersionRefused

FORMAT_VERSION: Final = 1
# As many digits as an int64 always holds; 0 would mean "any" in a request.
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")
_REQUIRED: Final = ("saved_model.pb", "items.arrow", "users.arrow")


class ArtifactError(Exception):
    """The model directory cannot be used; the text says why in one line."""


@dataclass(frozen=True, slots=True)
class VersionPath:
    """Where one version of a model lies."""

    name: str
    version: int
    path: Path


def find_versions(models_dir: Path) -> list[VersionPath]:
    """Lists the versions under `models_dir`, by name, newest first.

    A version is MODELS/NAME/NUMBER, the number without leading zeros, the name such as can be
    printed; anything else, scratch folders included, is passed over.

    Raises:
        ArtifactError: `models_dir` cannot be listed.
    """
    try:
        found = [
            VersionPath(path.parent.name, int(path.name), path)
            for path in models_dir.glob("*/*")
            if _NUMBER.fullmatch(path.name)
            and not path.parent.name.startswith(".")
            and path.parent.name.isprintable()
            and path.is_dir()
        ]
        if not models_dir.is_dir():
            raise NotADirectoryError(f"{models_dir} is not a folder")
    except OSError as error:
        raise ArtifactError(f"cannot list {models_dir}: {error.strerror or error}") from error
    return sorted(found, key=lambda each: (each.name, -each.version))


def fingerprint(folder: Path) -> int:
    """Returns a number that is another one once any file of a version has changed.

    By names, sizes and times alone, so that it can be asked for every few seconds.
    """
    found = []
    for path in folder.rglob("*"):
        try:
            stat = path.lstat()
        except OSError:
            continue  # gone since it was listed
        found.append((path.as_posix(), stat.st_size, stat.st_mtime_ns, stat.st_ino))
    return hash(tuple(sorted(found)))


def read_manifest(version: VersionPath) -> manifest_pb2.Manifest:
    """Reads a version's manifest and checks that it speaks of this version in a known format.

    Raises:
        VersionRefused: absent, unreadable, of an unknown format, or of another version.
    """
    if version.path.is_symlink() or version.path.parent.is_symlink():
        raise VersionRefused(Refusal.TAMPERED, "its folder is a link")
    path = version.path / "manifest.json"
    if path.is_symlink():
        raise VersionRefused(Refusal.TAMPERED, "manifest.json is a link")
    if path.exists() and not path.is_file():
        raise VersionRefused(Refusal.TAMPERED, "manifest.json is no file")
    try:
        text = path.read_text(encoding="utf-8")
        manifest = json_format.Parse(text, manifest_pb2.Manifest(), ignore_unknown_fields=True)
    except FileNotFoundError as error:
        raise VersionRefused(
            Refusal.INCOMPLETE, "manifest.json is missing: a half-copied version?"
        ) from error
    except (OSError, UnicodeDecodeError, json_format.ParseError, RecursionError) as error:
        reason = (str(error).splitlines() or ["nested too deeply"])[0]
        raise VersionRefused(
            Refusal.INCOMPLETE, f"manifest.json cannot be read: {reason}"
        ) from error
    if manifest.format_version != FORMAT_VERSION:
        raise VersionRefused(
            Refusal.INCOMPATIBLE,
            f"format {manifest.format_version} is unknown, this server reads {FORMAT_VERSION}",
        )
    if (manifest.model_name, manifest.model_version) != (version.name, version.version):
        raise VersionRefused(
            Refusal.INCOMPATIBLE,
            f"manifest.json speaks of {manifest.model_name!r} version {manifest.model_version}",
        )
    return manifest


def verify_files(folder: Path, manifest: manifest_pb2.Manifest) -> None:
    """Checks presence, size and SHA-256 of every file that the manifest lists, sizes first.

    Raises:
        VersionRefused: a file is missing, differs, is a link, lies outside the folder, or is there
            and not listed.
    """
    listed = {file.path for file in manifest.files}
    for required in _REQUIRED:
        if required not in listed:
            raise VersionRefused(Refusal.INCOMPATIBLE, f"manifest.json does not list {required}")
    _refuse_unlisted(folder, listed)
    # What is being copied is known by its sizes; a large model takes seconds to digest.
    for file in manifest.files:
        _verify_size(folder, file)
    for file in manifest.files:
        _verify_digest(folder, file)


def files_bytes(manifest: manifest_pb2.Manifest) -> int:
    """Returns the size of all files together."""
    return sum(file.size_bytes for file in manifest.files)


def _refuse_unlisted(folder: Path, listed: set[str]) -> None:
    # TensorFlow reads what it finds, as variables/ beside a graph that has none.
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise VersionRefused(Refusal.TAMPERED, f"{name} is a link")
        if path.is_dir():
            continue
        if not path.is_file():  # whoever opens a pipe may wait for ever
            raise VersionRefused(Refusal.TAMPERED, f"{name} is neither a file nor a folder")
        if name not in listed and name != "manifest.json" and not path.name.startswith("."):
            raise VersionRefused(Refusal.TAMPERED, f"{name} is not listed in manifest.json")


def _verify_size(folder: Path, file: manifest_pb2.File) -> None:
    relative = PurePosixPath(file.path)
    is_inside = not relative.is_absolute() and ".." not in relative.parts and relative.parts
    if not is_inside or not file.path.isprintable():
        raise VersionRefused(Refusal.TAMPERED, f"{file.path!r} is not a path inside the version")
    try:
        size = (folder / relative).stat().st_size
    except OSError as error:
        raise VersionRefused(Refusal.INCOMPLETE, f"{file.path}: {error.strerror}") from error
    if size != file.size_bytes:
        raise VersionRefused(
            Refusal.INCOMPLETE, f"{file.path} has {size} bytes instead of {file.size_bytes}"
        )


def _verify_digest(folder: Path, file: manifest_pb2.File) -> None:
    try:
        with (folder / file.path).open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise VersionRefused(Refusal.INCOMPLETE, f"{file.path}: {error.strerror}") from error
    if digest != file.sha256:
        raise VersionRefused(
            Refusal.TAMPERED, f"{file.path} does not have the SHA-256 that manifest.json gives"
        )
