"""What lies in the model directory: odd names, what is no file, what was there and is gone."""

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spoiled_versions import list_a_file
from versions_world import answers, look, publish, states

from recserve_server.models.artifact import (
    ArtifactError,
    VersionPath,
    files_bytes,
    find_versions,
    fingerprint,
    read_manifest,
    verify_files,
)
from recserve_server.models.refusal import Refusal, VersionRefused
from recserve_server.models.store import ModelStore, NoModelError
from recserve_server.models.version import State

LoadStore = Callable[..., Awaitable[ModelStore]]


def check(folder: Path) -> None:
    version = VersionPath(folder.parent.name, int(folder.name), folder)
    verify_files(folder, read_manifest(version))


@pytest.mark.parametrize(
    "odd", ["0", "007", "9" * 20, "-1", "1.0", "٣", "2 ", "v3", ".4", "1e3", "lost+found"]
)
def test_folders_that_are_no_version_numbers_are_passed_over(tmp_path: Path, odd: str) -> None:
    publish(tmp_path, 1)
    (tmp_path / "films" / odd).mkdir()

    assert [each.version for each in find_versions(tmp_path)] == [1]


@pytest.mark.parametrize("odd", [b"\xff", b"two\nlines", b"\x1b[31m", b".hidden"])
def test_models_whose_names_cannot_be_told_are_passed_over(tmp_path: Path, odd: bytes) -> None:
    publish(tmp_path, 1)
    os.makedirs(os.path.join(os.fsencode(tmp_path), odd, b"1"))  # noqa: PTH103, PTH118  # bytes

    assert [each.name for each in find_versions(tmp_path)] == ["films"]


@pytest.mark.parametrize("name", ["films", "Filme-2", "фильмы", "a.b_c"])
def test_names_that_can_be_told_are_found(tmp_path: Path, name: str) -> None:
    publish(tmp_path, 3, name=name)

    assert [(each.name, each.version) for each in find_versions(tmp_path)] == [(name, 3)]


@pytest.mark.parametrize("name", ["manifest.json", "extra", "variables/shard"])
def test_what_is_neither_file_nor_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = publish(tmp_path, 1)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).unlink(missing_ok=True)
    if name == "variables/shard":
        list_a_file(folder, name)  # of the size that it has: 0 bytes
    os.mkfifo(folder / name)

    with pytest.raises(VersionRefused) as caught:
        check(folder)

    assert caught.value.kind is Refusal.TAMPERED
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[31mred", "\u202eturned"])
def test_names_that_would_write_to_a_terminal_are_told_without(tmp_path: Path, name: str) -> None:
    folder = publish(tmp_path, 1)
    (folder / name).write_bytes(b"x")

    with pytest.raises(VersionRefused) as caught:
        check(folder)

    assert str(caught.value).isprintable()


def test_a_manifest_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    folder = publish(tmp_path, 1)
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").mkdir()

    with pytest.raises(VersionRefused):
        check(folder)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(path=st.text(max_size=30) | st.text("./\\\0ab~-", max_size=12))
def test_whatever_path_a_manifest_lists_is_refused_or_lies_inside(
    tmp_path: Path, path: str
) -> None:
    folder = tmp_path / "films" / "1"
    if not folder.exists():
        publish(tmp_path, 1)
        (folder / "manifest.json").rename(tmp_path / "original.json")
    (folder / "manifest.json").write_bytes((tmp_path / "original.json").read_bytes())
    list_a_file(folder, path)

    with pytest.raises(VersionRefused) as caught:  # nothing has the digest that is listed
        check(folder)

    assert str(caught.value).isprintable()


@given(text=st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_manifest_that_is_any_json_is_refused(tmp_path: Path, text: object) -> None:
    folder = tmp_path / "films" / "1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(text))

    with pytest.raises(VersionRefused):
        check(folder)


def test_files_of_a_copy_in_progress_change_a_versions_fingerprint(tmp_path: Path) -> None:
    folder = publish(tmp_path, 1)
    seen = [fingerprint(folder)]

    (folder / "new").write_bytes(b"1")
    seen.append(fingerprint(folder))
    (folder / "new").write_bytes(b"12")
    seen.append(fingerprint(folder))
    os.utime(folder / "new", ns=(1, 1))
    seen.append(fingerprint(folder))
    (folder / "new").rename(folder / "newer")
    seen.append(fingerprint(folder))
    (folder / "deep").mkdir()
    (folder / "deep" / "file").write_bytes(b"1")
    seen.append(fingerprint(folder))

    assert len(set(seen)) == len(seen)
    assert fingerprint(folder) == seen[-1]


def test_a_fingerprint_of_nothing_is_no_failure(tmp_path: Path) -> None:
    assert fingerprint(tmp_path / "gone") == fingerprint(tmp_path / "gone")


def test_the_size_of_a_version_is_that_of_its_files(tmp_path: Path) -> None:
    folder = publish(tmp_path, 1)

    sizes = [each.stat().st_size for each in folder.iterdir() if each.name != "manifest.json"]

    assert files_bytes(read_manifest(VersionPath("films", 1, folder))) == sum(sizes)


def test_a_model_directory_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("")

    with pytest.raises(ArtifactError, match="cannot list"):
        find_versions(tmp_path / "models")


async def test_a_model_directory_that_is_away_for_a_while_costs_no_answer(
    tmp_path: Path, load: LoadStore
) -> None:
    store = await load(1)
    away = tmp_path.with_name("away")

    tmp_path.rename(away)
    try:
        with pytest.raises(NoModelError, match="cannot list"):
            await store.refresh()
        assert await answers(store) == 1
        assert store.is_ready
        publish(away, 2)
    finally:
        away.rename(tmp_path)
    await store.refresh()

    assert await answers(store) == 2


async def test_a_model_whose_folder_is_emptied_goes_on(tmp_path: Path, load: LoadStore) -> None:
    store = await load(1)

    (tmp_path / "films").rename(tmp_path / ".films")
    await look(store, 2)

    assert await answers(store) == 1
    assert states(store) == {1: State.SERVING}
