"""Reads published versions back: their manifests, and the cards beside them."""

from dataclasses import dataclass
from pathlib import Path

from google.protobuf import json_format

from recserve.artifact.v1 import manifest_pb2
from recserve_trainer.artifact.card_files import CARD_DIR, CARD_JSON
from recserve_trainer.artifact.model_card import ModelCard
from recserve_trainer.errors import TrainerError


@dataclass(frozen=True, slots=True)
class Version:
    """One published version of a model."""

    number: int
    path: Path
    manifest: manifest_pb2.Manifest

    def card(self) -> ModelCard:
        """Returns the version's card; of a version without one, what its manifest tells.

        Raises:
            TrainerError: the card is there and cannot be read.
        """
        path = self.path / CARD_DIR / CARD_JSON
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ModelCard.from_manifest(self.manifest)
        except (OSError, UnicodeDecodeError) as error:
            raise TrainerError(f"{path} cannot be read: {error}") from error
        try:
            return ModelCard.from_json(text)
        except TrainerError as error:
            raise TrainerError(f"{path}: {error}") from error

    def plot(self, name: str) -> bytes | None:
        """Returns a picture of the card, None if there is none."""
        try:
            return (self.path / CARD_DIR / name).read_bytes()
        except OSError:
            return None


def read_versions(models_dir: Path, name: str) -> list[Version]:
    """Reads all versions of a model whose manifest can be read, newest first.

    Raises:
        TrainerError: there is none.
    """
    folder = models_dir / name
    try:
        names = {each.name for each in models_dir.iterdir() if _numbers(each)}
    except OSError as error:
        raise TrainerError(f"cannot list {models_dir}: {error.strerror}") from error
    if name not in names:
        known = f"only {', '.join(sorted(names))}" if names else "nothing is published there"
        raise TrainerError(f"there is no version of {name!r} in {models_dir}: {known}")
    found = [_read(number, folder / str(number)) for number in _numbers(folder)]
    readable = [version for version in found if version is not None]
    if not readable:
        raise TrainerError(f"no version in {folder} has a manifest.json that can be read")
    return readable


def choose_version(versions: list[Version], number: int | None) -> Version:
    """Returns the version of that number, or the newest.

    Raises:
        TrainerError: there is none of that number.
    """
    if number is None:
        return versions[0]
    for version in versions:
        if version.number == number:
            return version
    known = ", ".join(str(version.number) for version in versions)
    raise TrainerError(f"there is no version {number} with a readable manifest.json, only {known}")


def _numbers(folder: Path) -> list[int]:
    if folder.name.startswith(".") or not folder.is_dir():
        return []
    found = [each.name for each in folder.iterdir() if each.is_dir()]
    return sorted(
        (int(each) for each in found if each.isascii() and each.isdecimal()), reverse=True
    )


def _read(number: int, path: Path) -> Version | None:
    try:
        text = (path / "manifest.json").read_text(encoding="utf-8")
        manifest = json_format.Parse(text, manifest_pb2.Manifest(), ignore_unknown_fields=True)
    except (OSError, UnicodeDecodeError, json_format.ParseError):
        return None
    return Version(number, path, manifest)
