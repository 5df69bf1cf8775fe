"""Files that are read again when they change."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from recserve_server.security.followed import FollowedFiles


def parse(contents: Sequence[bytes], before: str | None) -> str:
    text = b"+".join(contents).decode()
    if "bad" in text:
        raise ValueError("it is bad")
    return text


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "one", tmp_path / "two"]
    for path in paths:
        path.write_text(path.name)
        path.chmod(0o600)
    return paths


@pytest.fixture
def followed(paths: list[Path]) -> FollowedFiles[str]:
    return FollowedFiles("files", paths, parse, secret=paths[0])


def replace(path: Path, text: str) -> None:
    """Puts another file in the place of `path`, in one step."""
    beside = path.with_name("beside")
    beside.write_text(text)
    beside.replace(path)


def test_a_change_is_read_at_the_next_look(followed: FollowedFiles[str], paths: list[Path]) -> None:
    replace(paths[1], "deux")
    assert followed.content == "one+two"

    followed.refresh()

    assert followed.content == "one+deux"
    assert (followed.rotations, followed.failures, followed.is_stale) == (1, 0, False)


def test_a_change_in_place_is_read_too(followed: FollowedFiles[str], paths: list[Path]) -> None:
    paths[1].write_text("deux and more")

    followed.refresh()

    assert followed.content == "one+deux and more"


def test_a_link_to_another_file_is_a_change(tmp_path: Path) -> None:
    """As Kubernetes swaps what it mounts: a link in the way, not the file."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    link = tmp_path / "link"
    link.symlink_to("old")
    followed = FollowedFiles("files", [link / "file"], parse, secret=link)

    (tmp_path / "next").symlink_to("new")
    (tmp_path / "next").replace(link)
    followed.refresh()

    assert followed.content == "new"


@pytest.mark.parametrize("text", ["bad", None])
def test_what_cannot_be_used_leaves_what_was_read(
    followed: FollowedFiles[str], paths: list[Path], text: str | None
) -> None:
    if text is None:
        paths[1].unlink()
    else:
        replace(paths[1], text)

    followed.refresh()

    assert followed.content == "one+two"
    assert (followed.rotations, followed.failures, followed.is_stale) == (0, 1, True)


def test_one_bad_change_is_told_and_counted_once(
    followed: FollowedFiles[str], paths: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    replace(paths[1], "bad")

    for _ in range(3):
        followed.refresh()

    [told] = caplog.records
    assert told.levelno == logging.WARNING
    assert vars(told)["reason"] == "it is bad"
    assert followed.failures == 1


def test_what_comes_after_something_bad_is_read(
    followed: FollowedFiles[str], paths: list[Path]
) -> None:
    replace(paths[1], "bad")
    followed.refresh()
    replace(paths[1], "good")

    followed.refresh()

    assert followed.content == "one+good"
    assert (followed.rotations, followed.is_stale) == (1, False)


def test_the_old_back_in_place_is_no_rotation(
    followed: FollowedFiles[str], paths: list[Path]
) -> None:
    replace(paths[1], "bad")
    followed.refresh()
    replace(paths[1], "two")

    followed.refresh()

    assert (followed.rotations, followed.failures, followed.is_stale) == (0, 1, False)


@pytest.mark.parametrize(
    ("mode", "told"), [(0o600, 0), (0o640, 0), (0o644, 1)], ids=["owner", "group", "everybody"]
)
def test_a_secret_that_everybody_can_read_is_told(
    paths: list[Path], mode: int, told: int, caplog: pytest.LogCaptureFixture
) -> None:
    paths[0].chmod(mode)
    paths[1].chmod(0o644)

    FollowedFiles("files", paths, parse, secret=paths[0])

    assert len(caplog.records) == told


def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    with pytest.raises(ValueError, match="no regular file"):
        FollowedFiles("files", [pipe], parse, secret=pipe)


def test_a_file_that_is_missing_or_too_large_is_told_by_name(paths: list[Path]) -> None:
    paths[1].write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(ValueError, match=r"two has 1048577 bytes, must have 1048576 at most"):
        FollowedFiles("files", paths, parse, secret=paths[0])

    paths[1].unlink()
    with pytest.raises(ValueError, match=r"cannot read .*two: No such file or directory"):
        FollowedFiles("files", paths, parse, secret=paths[0])
