import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recserve_server.matrix_model import MatrixModel
from recserve_server.models.artifact import (
    ArtifactError,
    find_versions,
    read_manifest,
    verify_files,
)
from recserve_server.models.refusal import VersionRefused

MODEL = MatrixModel(np.zeros((2, 3), np.float32))


def check(folder: Path) -> None:
    [version] = [each for each in find_versions(folder.parent.parent) if each.path == folder]
    verify_files(folder, read_manifest(version))


def edit_manifest(folder: Path, **fields: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_versions_are_found_by_name_newest_first_and_nothing_else(tmp_path: Path) -> None:
    for name, version in (("a", 2), ("a", 10), ("b", 1)):
        MODEL.publish(tmp_path, name, version)
    (tmp_path / "a" / ".export-x1").mkdir()
    (tmp_path / "a" / "logs").mkdir()
    (tmp_path / "a" / "3").write_text("a file")
    (tmp_path / "4").mkdir()

    assert [(each.name, each.version) for each in find_versions(tmp_path)] == [
        ("a", 10),
        ("a", 2),
        ("b", 1),
    ]


def test_a_folder_that_is_not_there_cannot_be_listed(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is not a folder"):
        find_versions(tmp_path / "nowhere")


def test_what_was_published_verifies(tmp_path: Path) -> None:
    check(MODEL.publish(tmp_path))


def flip_a_byte(folder: Path) -> None:
    content = bytearray((folder / "items.arrow").read_bytes())
    content[-1] ^= 1
    (folder / "items.arrow").write_bytes(content)


def link_a_file(folder: Path) -> None:
    (folder / "items.arrow").rename(folder.parent / "elsewhere")
    (folder / "items.arrow").symlink_to(folder.parent / "elsewhere")


def add_a_file(folder: Path) -> None:
    (folder / "variables").mkdir()
    (folder / "variables" / "variables.index").write_bytes(b"1")


def replace_by_a_link(folder: Path) -> None:
    folder.rename(folder.parent / "real")
    folder.symlink_to(folder.parent / "real")


def link_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").rename(folder.parent / "manifest.json")
    (folder / "manifest.json").symlink_to(folder.parent / "manifest.json")


def list_a_path(path: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        files = json.loads((folder / "manifest.json").read_text())["files"]
        edit_manifest(folder, files=[*files, {"path": path, "size_bytes": "1", "sha256": "0"}])

    return spoil


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "manifest.json is missing"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "manifest.json").write_bytes(b"\xff"), "codec"),
        (lambda folder: edit_manifest(folder, format_version=2), "format 2 is unknown"),
        (lambda folder: edit_manifest(folder, model_name="x"), "speaks of 'x' version 1"),
        (lambda folder: edit_manifest(folder, model_version="9"), "speaks of 'films' version 9"),
        (lambda folder: edit_manifest(folder, files=[]), "does not list saved_model.pb"),
        (lambda folder: (folder / "users.arrow").unlink(), "users.arrow: No such file"),
        (lambda folder: (folder / "users.arrow").write_bytes(b"1"), "has 1 bytes instead of"),
        (flip_a_byte, "items.arrow does not have the SHA-256"),
        (link_a_file, "items.arrow is a link"),
        (list_a_path("../../secret"), "'../../secret' is not a path inside"),
        (list_a_path("/etc/passwd"), "'/etc/passwd' is not a path inside"),
        (list_a_path(""), "'' is not a path inside"),
        (add_a_file, "variables/variables.index is not listed"),
        (lambda folder: (folder / "card").symlink_to("/tmp"), "card is a link"),
        (replace_by_a_link, "its folder is a link"),
        (link_the_manifest, "manifest.json is a link"),
    ],
)
def test_whatever_is_wrong_with_a_version_is_told_in_one_line(
    tmp_path: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    folder = MODEL.publish(tmp_path)
    spoil(folder)

    with pytest.raises(VersionRefused) as caught:
        check(folder)

    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fields_of_a_later_manifest_are_passed_over(tmp_path: Path) -> None:
    folder = MODEL.publish(tmp_path)
    edit_manifest(folder, something_new={"a": 1})

    check(folder)
