"""Finds model versions on disk and verifies them against their manifests."""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from google.protobuf import json_format

from recserve.artifact.v1 import manifest_pb2

FORMAT_VERSION: Final = 1
_REQUIRED: Final = ("saved_model.pb", "items.arrow", "users.arrow")


class ArtifactError(Exception):
    """A version cannot be used; the text says why in one line."""


@dataclass(frozen=True, slots=True)
class VersionPath:
    """Where one version of a model lies."""

    name: str
    version: int
    path: Path


def find_versions(models_dir: Path) -> list[VersionPath]:
    """Lists the versions under `models_dir`, by name, newest first.

    A version is MODELS/NAME/NUMBER; anything else, scratch folders included, is passed over.

    Raises:
        ArtifactError: `models_dir` cannot be listed.
    """
    try:
        found = [
            VersionPath(path.parent.name, int(path.name), path)
            for path in models_dir.glob("*/*")
            if path.name.isascii()
            and path.name.isdecimal()
            and not path.parent.name.startswith(".")
            and path.is_dir()
        ]
        if not models_dir.is_dir():
            raise NotADirectoryError(f"{models_dir} is not a folder")
    except OSError as error:
        raise ArtifactError(f"cannot list {models_dir}: {error.strerror or error}") from error
    return sorted(found, key=lambda each: (each.name, -each.version))


def read_manifest(version: VersionPath) -> manifest_pb2.Manifest:
    """Reads a version's manifest and checks that it speaks of this version in a known format.

    Raises:
        ArtifactError: absent, unreadable, of an unknown format, or of another version.
    """
    try:
        text = (version.path / "manifest.json").read_text(encoding="utf-8")
        manifest = json_format.Parse(text, manifest_pb2.Manifest(), ignore_unknown_fields=True)
    except FileNotFoundError as error:
        raise ArtifactError("manifest.json is missing: a half-copied version?") from error
    except (OSError, UnicodeDecodeError, json_format.ParseError) as error:
        raise ArtifactError(f"manifest.json cannot be read: {error}") from error
    if manifest.format_version != FORMAT_VERSION:
        raise ArtifactError(
            f"format {manifest.format_version} is unknown, this server reads {FORMAT_VERSION}"
        )
    if (manifest.model_name, manifest.model_version) != (version.name, version.version):
        raise ArtifactError(
            f"manifest.json speaks of {manifest.model_name} version {manifest.model_version}"
        )
    return manifest


def verify_files(folder: Path, manifest: manifest_pb2.Manifest) -> None:
    """Checks presence, size and SHA-256 of every file that the manifest lists.

    Raises:
        ArtifactError: a file is missing, differs, is a link, or lies outside the folder.
    """
    listed = {file.path for file in manifest.files}
    for required in _REQUIRED:
        if required not in listed:
            raise ArtifactError(f"manifest.json does not list {required}")
    for file in manifest.files:
        _verify_file(folder, file)


def _verify_file(folder: Path, file: manifest_pb2.File) -> None:
    relative = PurePosixPath(file.path)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise ArtifactError(f"{file.path!r} is not a path inside the version")
    path = folder / relative
    inside = (each for each in (path, *path.parents) if folder in each.parents)
    if any(each.is_symlink() for each in inside):
        raise ArtifactError(f"{file.path} is a link")
    try:
        size = path.stat().st_size
        if size != file.size_bytes:
            raise ArtifactError(f"{file.path} has {size} bytes instead of {file.size_bytes}")
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise ArtifactError(f"{file.path}: {error.strerror}") from error
    if digest != file.sha256:
        raise ArtifactError(f"{file.path} does not have the SHA-256 that manifest.json gives")
