"""Which versions are stable and canary, by whom it was said so, and whose canary it is."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

_BUCKETS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Labels:
    """What was said of one model's versions; as long as nothing was, the policy decides."""

    stable: int = 0
    """The version that answers by default; 0 for the newest that is loaded."""
    canary: int = 0
    """The version that some users get instead; 0 for none."""
    canary_percent: float = 0.0
    """Share of users who do, 0 to 100."""
    previous: int = 0
    """The version that was stable before, which a rollback returns to; 0 if there was none."""

    def __post_init__(self) -> None:
        for name, number in (
            ("stable", self.stable),
            ("canary", self.canary),
            ("previous", self.previous),
        ):
            if type(number) is not int or number < 0:
                raise ValueError(f"{name} is {number!r}, must be a version number, or 0 for none")
        if type(self.canary_percent) not in (int, float) or not 0 <= self.canary_percent <= 100:
            raise ValueError(f"canary_percent is {self.canary_percent!r}, must be from 0 to 100")
        if self.canary and not self.stable:
            raise ValueError("canary needs a stable version beside it")

    @property
    def versions(self) -> tuple[int, ...]:
        """The versions that are to be loaded because of a label."""
        return tuple(dict.fromkeys(each for each in (self.stable, self.canary) if each))


def is_canary_user(model: str, version: int, user_id: str, percent: float) -> bool:
    """Tells whether a user gets the canary: always the same for the same three names.

    Whoever gets it at some share gets it at any larger one, too; other versions have other users.
    """
    digest = hashlib.blake2b(f"{model}\0{version}\0{user_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % _BUCKETS < percent * _BUCKETS / 100


def read_labels(path: Path) -> dict[str, Labels]:
    """Returns the labels by model; none if there is no file.

    Raises:
        ValueError: the file cannot be read or is not as it must be; the text says why.
    """
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"labels file {path} cannot be read: {error}") from error
    if not isinstance(written, dict):
        raise ValueError(f"labels file {path} holds no object of models")
    return {name: _labels(path, name, of_model) for name, of_model in written.items()}


def write_labels(path: Path, labels: Mapping[str, Labels]) -> None:
    """Replaces the file in one step.

    Raises:
        OSError: it cannot be written.
    """
    kept = {name: asdict(each) for name, each in sorted(labels.items()) if each != Labels()}
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with scratch.open("w", encoding="utf-8") as file:
            file.write(json.dumps(kept, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _labels(path: Path, name: str, written: object) -> Labels:
    known = {each.name for each in fields(Labels)}
    if not isinstance(written, dict) or not known >= set(written):
        raise ValueError(
            f"labels file {path}: model {name!r} has {written!r}, may have "
            f"{', '.join(sorted(known))}"
        )
    try:
        return Labels(**written)
    except ValueError as error:
        raise ValueError(f"labels file {path}: model {name!r}: {error}") from error
