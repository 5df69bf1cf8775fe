"""The models dir that all replicas watch: good versions come, bad ones come and go."""

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from .bases import NAME, Base, copy_as
from .oracle import Oracle

_KEPT = 2


@dataclass
class Shelf:
    """MODELS/films, with a number for every version that was ever put there."""

    models_dir: Path
    bases: list[Base]
    oracle: Oracle
    last: int = 0
    good: list[int] = field(default_factory=list)

    @property
    def newest(self) -> int:
        """The version that must be answering."""
        return self.good[-1]

    def path(self, version: int) -> Path:
        """Returns where a version lies."""
        return self.models_dir / NAME / str(version)

    def take_number(self) -> int:
        """Returns the next free number."""
        self.last += 1
        return self.last

    def publish(self) -> int:
        """Puts a good version there, of another base than the newest."""
        version = self.take_number()
        place = len(self.good) % len(self.bases)
        # Known before it is there: a server may be quick.
        self.oracle.base_of[version] = place
        self.path(version).parent.mkdir(parents=True, exist_ok=True)
        copy_as(self.bases[place].folder, self.path(version))
        self.good.append(version)
        return version

    def tidy(self) -> None:
        """Removes versions that are older than the one before the newest."""
        for version in self.good[:-_KEPT]:
            shutil.rmtree(self.path(version), ignore_errors=True)

    def mount(self, size_bytes: int) -> str:
        """Puts the models dir on a disk of that size; returns why it could not be."""
        self.models_dir.mkdir(parents=True, exist_ok=True)
        command = [
            "mount",
            "-t",
            "tmpfs",
            "-o",
            f"size={size_bytes}",
            "tmpfs",
            str(self.models_dir),
        ]
        try:
            ran = subprocess.run(command, capture_output=True, text=True)
        except OSError as error:
            return str(error)
        return ran.stderr.strip()


def unmount(models_dir: Path) -> None:
    """Takes the disk of a models dir away, if there is one."""
    if models_dir.is_mount():
        # Lazily: a process that was just killed may still have a file open.
        subprocess.run(["umount", "--lazy", str(models_dir)], check=True)
