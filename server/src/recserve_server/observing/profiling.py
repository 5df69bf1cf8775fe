"""Profiles of the event loop's thread, taken while the server runs."""

import asyncio
import cProfile
from pathlib import Path
from typing import Final

LONGEST_S: Final = 300.0
"""A profile makes every call slower, so it ends by itself."""


class ProfileError(Exception):
    """There is no profile; the text says why in one line."""


class Profiler:
    """Takes one profile at a time."""

    def __init__(self) -> None:
        self._is_running = False

    async def run(self, seconds: float, path: Path) -> None:
        """Profiles the thread of the running event loop and writes what `pstats` reads.

        Calls take longer meanwhile. The file appears when it is complete.

        Args:
            seconds: more than 0, `LONGEST_S` at the most.
            path: the file, replaced if it is there.

        Raises:
            ProfileError: one is being taken, the time is out of range, or it cannot be written.
        """
        if not 0 < seconds <= LONGEST_S:
            raise ProfileError(f"seconds is {seconds:g}, must be above 0 and {LONGEST_S:g} at most")
        if self._is_running:
            raise ProfileError("a profile is being taken already")
        self._is_running = True
        try:
            await self._run(seconds, path)
        finally:
            self._is_running = False

    async def _run(self, seconds: float, path: Path) -> None:
        scratch = path.with_name(f".{path.name}.partial")
        profile = cProfile.Profile()
        try:
            # Before the wait: an operator wants to know at once.
            scratch.touch()
            # Another profiler, or a debugger, may have this thread (ValueError since Python 3.12).
            profile.enable()
            try:
                await asyncio.sleep(seconds)
            finally:
                profile.disable()
            await asyncio.to_thread(profile.dump_stats, scratch)
            scratch.replace(path)
        except OSError as error:
            raise ProfileError(f"cannot write {path}: {error.strerror or error}") from error
        except ValueError as error:
            raise ProfileError(f"cannot profile: {error}") from error
        finally:
            scratch.unlink(missing_ok=True)
