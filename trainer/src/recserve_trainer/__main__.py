"""argv -> one command and its exit code."""

import argparse
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from types import FrameType
from typing import Final, NoReturn, Protocol, cast

from recserve_trainer.errors import TrainerError, UsageError

COMMANDS: Final = {
    "train": "learn a model and publish it (what is done if no command is named)",
    "benchmark": "hold a family against published results on MovieLens 100K",
    "ratings": "hold rating prediction against published results",
    "report": "render a page about a published version",
    "tune": "search for better settings on the validation split",
    "add-items": "add and retire items of a published version, without learning again",
    "example-shop": "write an invented shop's interactions as CSV, to try own data with",
}
"""By name, each a module of `recserve_trainer.commands`."""


class _Command(Protocol):
    def parser(self) -> argparse.ArgumentParser: ...
    def run(self, arguments: argparse.Namespace) -> None: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `recserve-train`; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    name = words.pop(0) if words and not words[0].startswith("-") else "train"
    if name not in COMMANDS:
        known = ", ".join(COMMANDS)
        print(f"recserve-train: there is no command {name!r}, only {known}", file=sys.stderr)
        return 2
    module = importlib.import_module(f"recserve_trainer.commands.{name.replace('-', '_')}")
    command = cast(_Command, module)
    parser = command.parser()
    parser.add_argument("--traceback", action="store_true", help="on failure, show where")
    if name not in ("report", "add-items"):  # whose --version is a model's
        parser.add_argument("--version", action="version", version=version("recserve-trainer"))
    return _run(command, parser, words)


def _run(command: _Command, parser: argparse.ArgumentParser, words: list[str]) -> int:
    arguments = parser.parse_args(words)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        command.run(arguments)
    except UsageError as error:
        parser.error(str(error))
    except (Exception, KeyboardInterrupt) as error:
        if arguments.traceback:
            traceback.print_exc()
        print(f"{parser.prog}: {_reason(error)}", file=sys.stderr)
        return 1
    return 0


def _reason(error: BaseException) -> str:
    if isinstance(error, TrainerError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted, nothing was published"
    first_line = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first_line}; nothing was published (--traceback for more)"


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
