"""Files that are read again when they change."""

import logging
import os
import stat
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Generic, TypeAlias, TypeVar

_log = logging.getLogger(__name__)
_LARGEST_BYTES: Final = 1 << 20

Content = TypeVar("Content")
Parse: TypeAlias = Callable[[Sequence[bytes], Content | None], Content]
"""Takes what is in the files, and what they said before; raises ValueError if it cannot be used."""


class FollowedFiles(Generic[Content]):
    """What some files say together.

    They are looked at, not watched: whoever mounts, copies or renames them, a look finds it. Files
    that cannot be used leave what was read before in place, so a set that is half written does no
    harm. May be used by several threads.
    """

    def __init__(
        self, name: str, paths: Sequence[Path], parse: Parse[Content], *, secret: Path
    ) -> None:
        """Reads the files.

        Args:
            name: what they are, for the log.
            paths: the files.
            parse: makes something of them.
            secret: the one of them that only the server's own user should be able to read.

        Raises:
            ValueError: they cannot be used; the text says which and why.
        """
        self._name, self._paths, self._parse, self._secret = name, tuple(paths), parse, secret
        self._lock = threading.Lock()
        self._seen = self._states()
        self.content: Content = self._read(None)
        """What the files said when they could last be used."""
        self.rotations = 0
        """Times that something new was read."""
        self.failures = 0
        """Times that the files had changed and could not be used."""
        self.is_stale = False
        """Whether `content` is no longer what is in the files, since they cannot be used."""

    def refresh(self) -> None:
        """Reads the files if they have changed; costs a `stat` of each if not."""
        with self._lock:
            states = self._states()
            if states == self._seen:
                return
            # Before reading: what is written meanwhile will be seen to be new next time.
            self._seen = states
            try:
                content = self._read(self.content)
            except ValueError as error:
                self.failures += 1
                self.is_stale = True
                reason = {"reason": str(error)}
                _log.warning("the %s cannot be used, the old stay", self._name, extra=reason)
                return
            if content != self.content or self.is_stale:
                _log.info("the %s were read again", self._name)
            if content != self.content:
                self.content = content
                self.rotations += 1
            self.is_stale = False

    def _states(self) -> list[tuple[int, ...] | None]:
        return [_state(path) for path in self._paths]

    def _read(self, before: Content | None) -> Content:
        return self._parse([self._read_one(path) for path in self._paths], before)

    def _read_one(self, path: Path) -> bytes:
        try:
            # Else the opening of a pipe would wait for somebody to write into it.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                state = os.fstat(file.fileno())
                if not stat.S_ISREG(state.st_mode):
                    raise ValueError(f"{path} is no regular file")
                content = file.read(_LARGEST_BYTES + 1)
        except OSError as error:
            raise ValueError(f"cannot read {path}: {error.strerror}") from error
        if len(content) > _LARGEST_BYTES:
            raise ValueError(
                f"{path} has {state.st_size} bytes, must have {_LARGEST_BYTES} at most"
            )
        if path == self._secret and state.st_mode & stat.S_IROTH:
            extra = {"file": str(path)}
            _log.warning("a secret file can be read by every user of this machine", extra=extra)
        return content


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
