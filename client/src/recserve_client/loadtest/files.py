"""A run as a JSON file, and back; what is written, whole."""

import contextlib
import dataclasses
import json
import os
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from .latency import LatencyRecorder
from .result import SCHEMA_VERSION, Run

STANDARD_OUTPUT: Final = Path("-")

_T = TypeVar("_T")


class FileError(Exception):
    """A file that cannot be read or written, or holds something else; for whoever named it."""


def to_json(run: Run) -> str:
    """Spells a run as JSON; the same run is the same text."""
    return json.dumps(plain(run), indent=1, allow_nan=False) + "\n"


def plain(value: object) -> object:
    """Returns what JSON can hold: dataclasses and mappings become dicts, tuples lists."""
    # Unlike dataclasses.asdict, takes every kind of mapping.
    if dataclasses.is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    return value


def write_text(path: Path, text: str) -> None:
    """Writes a file whole, or leaves what was there before; `STANDARD_OUTPUT` is printed.

    Raises:
        FileError: it cannot be written.
    """
    if path == STANDARD_OUTPUT:
        print(text, end="")
        return
    try:
        if _is_replaced(path):
            _replace(path.resolve(), text)
        else:
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}") from error


def check_writable(path: Path) -> None:
    """Looks whether `write_text` can write there, without doing it.

    Raises:
        FileError: it cannot.
    """
    if path.is_dir():
        raise FileError(f"cannot write {path}: it is a folder")
    folder = path.resolve().parent
    if _is_replaced(path) and not folder.is_dir():
        raise FileError(f"cannot write {path}: there is no folder {folder}")
    if not os.access(folder if _is_replaced(path) else path, os.W_OK):
        raise FileError(f"cannot write {path}: permission denied")


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Surrounds reading a file.

    Raises:
        FileError: it cannot be read, or is not UTF-8.
    """
    try:
        yield
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FileError(f"{path} is not UTF-8: {error.reason}") from error


def read_run(path: Path) -> Run:
    """Reads a run that was written as JSON; fields that this version does not know are left out.

    Raises:
        FileError: it cannot be read, or is none, or of another schema version.
    """
    with reading(path):
        try:
            found = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
        except ValueError as error:
            raise FileError(f"{path} is no JSON: {error}") from error
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != SCHEMA_VERSION:
        raise FileError(
            f"{path} has schema_version {version!r}, must be {SCHEMA_VERSION}, "
            "as recserve loadtest --json writes"
        )
    try:
        run = _made(Run, found)
        for window in (window for stage in run.stages for window in stage.windows):
            LatencyRecorder.decode(window.histogram)
    except Exception as error:  # hdrh raises whatever it comes upon
        raise FileError(f"{path} is not a whole run: {error}") from error
    return run


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(path.name + ".part")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def _is_replaced(path: Path) -> bool:
    # In the place of a pipe or a device such as /dev/stdout no file must come to be.
    return path.is_file() or not path.exists()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _made(kind: type[_T], found: Mapping[str, Any]) -> _T:
    hints = get_type_hints(kind)
    known = {each.name for each in dataclasses.fields(typing.cast(Any, kind))}
    return kind(**{name: _value(hints[name], found[name]) for name in found if name in known})


def _value(hint: Any, found: Any) -> Any:  # noqa: ANN401  (as JSON has it)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        [inner] = [each for each in arguments if each is not type(None)]
        return None if found is None else _value(inner, found)
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return tuple(_value(arguments[0], each) for each in _checked(found, list))
        return tuple(_value(*pair) for pair in zip(arguments, found, strict=True))
    if origin is not None:
        return {name: _value(arguments[1], each) for name, each in _checked(found, dict).items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _made(hint, _checked(found, dict))
    return float(_checked(found, int, float)) if hint is float else _checked(found, hint)


def _checked(found: Any, *kinds: type) -> Any:  # noqa: ANN401  (as JSON has it)
    # JSON's true and false are numbers to Python.
    if not isinstance(found, kinds) or (isinstance(found, bool) and bool not in kinds):
        raise TypeError(f"{found!r:.40} is not of type {kinds[-1].__name__}")
    return found
