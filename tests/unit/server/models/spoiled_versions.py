"""Versions with something wrong, each of its own kind, made of good ones of version 2."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from versions_world import ITEMS, NOT_A_NUMBER, USERS, hash_again, write_golden

from recserve.artifact.v1 import manifest_pb2
from recserve_server.matrix_model import write_manifest
from recserve_server.models.refusal import Refusal


def edit_manifest(folder: Path, **fields: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def list_a_file(folder: Path, path: str, size: int = 0) -> None:
    files = json.loads((folder / "manifest.json").read_text())["files"]
    edit_manifest(
        folder, files=[*files, {"path": path, "size_bytes": str(size), "sha256": "0" * 64}]
    )


def truncate(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])


def lengthen(folder: Path) -> None:
    with (folder / "items.arrow").open("ab") as file:
        file.write(b"more")


def flip(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)


def link_outside(folder: Path) -> None:
    outside = folder.parent.parent / "outside"
    (folder / "users.arrow").rename(outside)
    (folder / "users.arrow").symlink_to(outside)


def say_another_vocabulary(folder: Path) -> None:
    write_manifest(folder, manifest_pb2.Model(user_count=USERS, item_count=ITEMS + 1))


def break_numbers(folder: Path) -> None:
    shutil.rmtree(folder)
    NOT_A_NUMBER.publish(folder.parent.parent, version=2)


def lose_a_file(folder: Path) -> None:
    (folder / "users.arrow").unlink()


def break_golden(folder: Path) -> None:
    (folder / "golden.json").write_text('{"queries": 3}')
    hash_again(folder)


@dataclass(frozen=True)
class Case:
    kind: Refusal
    reason: str
    spoil: Callable[[Path], None]


CASES = {
    "no manifest": Case(
        Refusal.INCOMPLETE,
        "manifest.json is missing",
        lambda folder: (folder / "manifest.json").unlink(),
    ),
    "half a manifest": Case(
        Refusal.INCOMPLETE, "cannot be read", lambda folder: truncate(folder, "manifest.json")
    ),
    "half a file": Case(
        Refusal.INCOMPLETE, "bytes instead of", lambda folder: truncate(folder, "items.arrow")
    ),
    "a file too long": Case(Refusal.INCOMPLETE, "bytes instead of", lengthen),
    "a file too few": Case(Refusal.INCOMPLETE, "No such file", lose_a_file),
    "a bit flipped": Case(
        Refusal.TAMPERED, "does not have the SHA-256", lambda folder: flip(folder, "saved_model.pb")
    ),
    "a file too many": Case(
        Refusal.TAMPERED, "not listed", lambda folder: (folder / "extra.so").write_bytes(b"x")
    ),
    "a link out": Case(Refusal.TAMPERED, "is a link", link_outside),
    "a way out": Case(
        Refusal.TAMPERED,
        "not a path inside",
        lambda folder: list_a_file(folder, "../../../etc/passwd"),
    ),
    "a path with a null byte": Case(
        Refusal.TAMPERED, "not a path inside", lambda folder: list_a_file(folder, "a\0b")
    ),
    "another format": Case(
        Refusal.INCOMPATIBLE,
        "format 99 is unknown",
        lambda folder: edit_manifest(folder, format_version=99),
    ),
    "another name": Case(
        Refusal.INCOMPATIBLE,
        "speaks of 'books' version 2",
        lambda folder: edit_manifest(folder, model_name="books"),
    ),
    "another number": Case(
        Refusal.INCOMPATIBLE,
        "speaks of 'films' version 3",
        lambda folder: edit_manifest(folder, model_version="3"),
    ),
    "no SavedModel": Case(
        Refusal.INCOMPATIBLE,
        "does not list saved_model.pb",
        lambda folder: edit_manifest(folder, files=[]),
    ),
    "golden queries that are none": Case(
        Refusal.INCOMPATIBLE, "golden.json cannot be read", break_golden
    ),
    "another vocabulary": Case(Refusal.FAILED, "manifest.json says", say_another_vocabulary),
    "answers that are no numbers": Case(Refusal.FAILED, "not numbers", break_numbers),
    "answers unlike those at export": Case(
        Refusal.UNLIKE_EXPORT,
        "of the items that its golden queries expect, at least 0.900 is required",
        lambda folder: write_golden(folder, as_version=9),
    ),
}
