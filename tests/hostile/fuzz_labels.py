"""Fuzzes the file of labels: python tests/hostile/fuzz_labels.py -max_total_time=60."""

import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["recserve_server.models.labels"]):
    from recserve_server.models.labels import is_canary_user, read_labels, write_labels

from fuzzing import fuzz

GOOD = b'{"films": {"stable": 3, "canary": 4, "canary_percent": 12.5, "previous": 2}}'


def read(encoded: bytes) -> None:
    FILE.write_bytes(encoded)
    try:
        labels = read_labels(FILE)
    except ValueError as refused:
        assert str(refused)  # noqa: PT017
        return
    for each in labels.values():
        is_canary_user("films", each.canary, "u0", each.canary_percent)
    write_labels(FILE, labels)
    again = read_labels(FILE)
    assert all(again[model] == labels[model] for model in again)


def seeds() -> list[bytes]:
    """Returns a good file, and such as go wrong in ways that take long to find."""
    values = [b"-1", b"true", b"null", b"NaN", b"1e400", b'"3"', b"9" * 30, b"9" * 5000, b"{}"]
    changed = [GOOD.replace(old, value) for value in values for old in (b"12.5", b"3")]
    surrogate = GOOD.replace(b"films", b"\\ud800")
    return [GOOD, *changed, surrogate, b"[" * 2000, b'{"films": []}', b"[]", b"\xff"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="recserve-fuzz-") as folder:
        FILE = Path(folder) / "labels.json"
        fuzz(read, seeds())
