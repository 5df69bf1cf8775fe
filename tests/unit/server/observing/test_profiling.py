import asyncio
import pstats
from pathlib import Path

import pytest

from recserve_server.observing.profiling import ProfileError, Profiler


def busy_in_the_loop() -> int:
    return sum(range(1000))


async def test_a_profile_tells_what_the_event_loop_did(tmp_path: Path) -> None:
    profile = asyncio.create_task(Profiler().run(0.2, tmp_path / "loop.pstats"))
    while not profile.done():
        busy_in_the_loop()
        await asyncio.sleep(0.001)

    await profile
    functions = {name for _, _, name in pstats.Stats(str(tmp_path / "loop.pstats")).stats}
    assert "busy_in_the_loop" in functions
    assert [each.name for each in tmp_path.iterdir()] == ["loop.pstats"]


async def test_there_is_one_profile_at_a_time(tmp_path: Path) -> None:
    profiler = Profiler()
    first = asyncio.create_task(profiler.run(0.1, tmp_path / "first"))
    await asyncio.sleep(0)

    with pytest.raises(ProfileError, match="already"):
        await profiler.run(0.1, tmp_path / "second")

    await first
    await profiler.run(0.01, tmp_path / "third")
    assert (tmp_path / "third").exists()


@pytest.mark.parametrize("seconds", [0, -1, 301, float("nan")])
async def test_the_time_is_bounded(tmp_path: Path, seconds: float) -> None:
    with pytest.raises(ProfileError, match="must be above 0 and 300 at most"):
        await Profiler().run(seconds, tmp_path / "profile")


async def test_what_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    profiler = Profiler()

    with pytest.raises(ProfileError, match=r"cannot write .*: No such file"):
        await profiler.run(60, tmp_path / "missing" / "profile")

    await profiler.run(0.01, tmp_path / "profile")


async def test_a_cancelled_profile_leaves_nothing_behind(tmp_path: Path) -> None:
    profiler = Profiler()
    task = asyncio.create_task(profiler.run(60, tmp_path / "profile"))
    await asyncio.sleep(0.02)

    task.cancel()
    await asyncio.wait([task])

    assert list(tmp_path.iterdir()) == []
    await profiler.run(0.01, tmp_path / "profile")
