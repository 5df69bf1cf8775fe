"""A file of lines that is put aside when it is large, and that a full disk does not end.

logging's RotatingFileHandler keeps parts of lines that it could not write in a buffer, and a
failure while it rotates leaves it with a closed file for good.
"""

import os
from pathlib import Path
from typing import Final

_KEPT: Final = 5
# Only the server's own user: the log may tell who watched what.
_MODE: Final = 0o600


class RotatingFile:
    """Appends whole lines; to be used by one thread."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """Opens the file, making it if need be.

        Args:
            path: the file; older ones are `path`.1, the newest of them, to `path`.5.
            max_bytes: size at which it is put aside.

        Raises:
            OSError: it cannot be written.
        """
        self._path, self._max_bytes = path, max_bytes
        self._descriptor: int | None = None
        self._size = 0
        self._is_torn = False
        self._opened()

    def write(self, line: bytes) -> None:
        """Appends a line, which ends in a newline.

        Raises:
            OSError: it was not written, or not all of it; a later line may be.
        """
        descriptor = self._opened()
        if self._size and self._size + len(line) > self._max_bytes:
            self._put_aside()
            descriptor = self._opened()
        if self._is_torn:
            line = b"\n" + line  # what is left of the last one becomes a line of its own
        written = os.write(descriptor, line)
        self._size += written
        self._is_torn = written < len(line)
        if self._is_torn:
            raise OSError(f"only {written} of {len(line)} bytes were written")

    def close(self) -> None:
        """Closes it; a later line opens it again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _opened(self) -> int:
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(self._path, flags, _MODE)
            self._size = os.fstat(self._descriptor).st_size
        return self._descriptor

    def _put_aside(self) -> None:
        self.close()
        for number in range(_KEPT - 1, 0, -1):
            older = self._aside(number)
            if older.exists():
                older.replace(self._aside(number + 1))
        self._path.replace(self._aside(1))
        self._is_torn = False

    def _aside(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
