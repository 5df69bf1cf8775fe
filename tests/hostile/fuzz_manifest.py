"""Fuzzes the reader of manifests: python tests/hostile/fuzz_manifest.py -max_total_time=60."""

import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["recserve_server.models.artifact"]):
    from recserve_server.models.artifact import VersionPath, read_manifest, verify_files

from fuzzing import fuzz
from hostile_world import publish

from recserve_server.models.refusal import VersionRefused


def read(encoded: bytes) -> None:
    (VERSION / "manifest.json").write_bytes(encoded)
    try:
        manifest = read_manifest(VersionPath("films", 1, VERSION))
        verify_files(VERSION, manifest)
    except VersionRefused as refused:
        assert str(refused).isprintable()  # noqa: PT017


def seeds(good: bytes) -> list[bytes]:
    """Returns a good manifest, and such as go wrong in ways that take long to find."""
    paths = [b"a\\u0000b", b"\\ud800", b"../users.arrow", b"/etc/passwd", b".", b"x" * 300]
    files = b'"files": ['
    changed = [good.replace(files, files + b'{"path": "%s"}, ' % path) for path in paths]
    assert good not in changed
    return [good, *changed, b"[" * 2000, b'{"format_version":' + b"9" * 5000 + b"}"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="recserve-fuzz-") as folder:
        VERSION = publish(Path(folder)) / "films" / "1"
        fuzz(read, seeds((VERSION / "manifest.json").read_bytes()))
