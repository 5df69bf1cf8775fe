import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from recserve_server.observing.rotating_file import RotatingFile

LINE = b"x" * 99 + b"\n"


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may grow beyond 250 bytes: as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (250, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def sizes(folder: Path) -> dict[str, int]:
    return {each.name: each.stat().st_size for each in folder.iterdir()}


def test_lines_are_appended_to_what_is_there(tmp_path: Path) -> None:
    for _ in range(2):
        file = RotatingFile(tmp_path / "log", 1000)
        file.write(LINE)
        file.close()

    assert (tmp_path / "log").read_bytes() == 2 * LINE


def test_a_large_file_is_put_aside_and_five_are_kept(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "log", 250)
    for number in range(20):
        file.write(b"%099d\n" % number)

    assert sizes(tmp_path) == {"log": 200, **{f"log.{number}": 200 for number in range(1, 6)}}
    assert (tmp_path / "log").read_bytes().split() == [b"%099d" % 18, b"%099d" % 19]
    assert (tmp_path / "log.5").read_bytes().split() == [b"%099d" % 8, b"%099d" % 9]


def test_a_line_larger_than_a_file_gets_one_of_its_own(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "log", 50)
    file.write(LINE)
    file.write(LINE)

    assert sizes(tmp_path) == {"log": 100, "log.1": 100}


def test_only_the_servers_user_can_read_it(tmp_path: Path) -> None:
    RotatingFile(tmp_path / "log", 1000)

    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("small_files")
def test_a_line_that_is_torn_ends_before_the_next_begins(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "log", 10_000)
    file.write(LINE)
    file.write(LINE)
    with pytest.raises(OSError, match="only 50 of 100 bytes"):
        file.write(LINE)
    with pytest.raises(OSError, match="File too large"):
        file.write(LINE)

    soft, hard = 10_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))  # there is room again
    file.write(b"whole\n")

    lines = (tmp_path / "log").read_bytes().splitlines()
    assert lines == [LINE.strip(), LINE.strip(), b"x" * 50, b"whole"]


def test_a_file_that_cannot_be_put_aside_does_not_grow(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "log", 150)
    file.write(LINE)
    (tmp_path / "log.4").touch()
    (tmp_path / "log.5").mkdir()

    for _ in range(3):
        with pytest.raises(OSError, match="log"):
            file.write(LINE)
    assert (tmp_path / "log").stat().st_size == 100

    (tmp_path / "log.5").rmdir()
    file.write(LINE)
    assert (tmp_path / "log").read_bytes() == LINE


def test_a_file_that_cannot_be_opened_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        RotatingFile(tmp_path / "missing" / "log", 1000)


def test_a_closed_file_is_opened_again(tmp_path: Path) -> None:
    file = RotatingFile(tmp_path / "log", 1000)
    file.close()

    file.write(LINE)

    assert (tmp_path / "log").read_bytes() == LINE
