"""Reads which items are to leave a catalogue."""

from collections.abc import Sequence
from pathlib import Path

from recserve_trainer.errors import DatasetError


def read_retired_ids(files: Sequence[Path], ids: Sequence[str]) -> list[str]:
    """Gathers ids, each once: one a line of the files, without the spaces around, and the others.

    Raises:
        DatasetError: a file cannot be read.
    """
    found = [item_id.strip() for item_id in ids]
    for path in files:
        try:
            text = path.read_text("utf-8-sig")
        except OSError as error:
            raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise DatasetError(f"{path} is not UTF-8, must have one id a line") from error
        found += [line.strip() for line in text.splitlines()]
    return list(dict.fromkeys(item_id for item_id in found if item_id))
