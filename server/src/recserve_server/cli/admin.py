"""`recserve-serve admin`: has a running server do something, over its control socket."""

import argparse
import json
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from recserve_server.cli.paths import path_of
from recserve_server.control.protocol import MOST_BYTES, from_line, to_line

_DESCRIPTION: Final = """\
Looks at the models of a running server and says which versions answer. Works on the server's own
machine, as its own user: the server must have been started with the same --admin-socket."""
_EPILOG: Final = """\
A pin, a rollback or a canary holds until `unpin`: new versions are then not taken. With --labels
it holds over restarts, too. Exit codes: 0 done, 1 refused or no server, 2 wrong usage."""
_LONGEST_S: Final = 3600.0
"""Loading a large version takes minutes; whoever does not want to wait interrupts."""
_COLUMNS: Final = ("VERSION", "STATE", "LABELS", "GOLDEN", "MEMORY", "LOADED", "WHY")


def admin(argv: Sequence[str]) -> int:
    """Runs one command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    command = {
        name: value
        for name, value in vars(arguments).items()
        if name not in ("admin_socket", "json") and value is not None
    }
    try:
        status = ask(arguments.admin_socket, command)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        where = f"{arguments.admin_socket}: " if isinstance(error, OSError) else ""
        print(f"recserve-serve admin: {where}{reason or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 1
    print(json.dumps(status, indent=2) if arguments.json else _as_text(status))
    return 0


def ask(path: Path, command: dict[str, object]) -> dict[str, Any]:
    """Has the server at a socket run a command; returns the status after it.

    Raises:
        OSError: there is no server.
        ValueError: the server cannot do it; the text says why.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_LONGEST_S)
        connection.connect(str(path))
        connection.sendall(to_line(command))
        with connection.makefile("rb") as answers:
            line = answers.readline(MOST_BYTES)
    if not line:
        raise ValueError("the server ended before it answered")
    answer = from_line(line)
    if "error" in answer:
        raise ValueError(str(answer["error"]))
    result: dict[str, Any] = answer["result"]
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="recserve-serve admin", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument(
        "--admin-socket",
        type=path_of,
        required=True,
        metavar="PATH",
        help="the server's --admin-socket",
    )
    parser.add_argument("--json", action="store_true", help="print the status as JSON")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text)

    add("status", "tell which versions there are, and what became of each")
    add("reload", "read labels again, look for new versions, try refused ones again")
    _add_name(add("unpin", "let the policy choose again: the newest good version, by default"))
    _add_name(add("rollback", "go back to the version that was stable before, and pin it"))
    _add_name(add("promote", "make the canary the stable version, and pin it"))
    _add_version(add("pin", "make a version the stable one, loading it if need be"))
    canary = add("canary", "have a version answer a share of users, always the same ones")
    _add_version(canary)
    canary.add_argument("--percent", type=float, default=10.0, help="share (default: %(default)s)")
    profile = add("profile", "write a profile of the server's Python, for pstats")
    profile.add_argument("--seconds", type=float, default=10.0, help="(default: %(default)s)")
    profile.add_argument("--file", required=True, type=_absolute, help="file to write")
    return parser


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="model; not needed if there is only one"
    )


def _add_version(parser: argparse.ArgumentParser) -> None:
    _add_name(parser)
    parser.add_argument("version", type=int, metavar="VERSION")


def _absolute(text: str) -> str:
    # The server has a working folder of its own.
    return str(path_of(text).absolute())


def _as_text(status: dict[str, Any]) -> str:
    return "\n\n".join(_model_as_text(model) for model in status["models"])


def _model_as_text(model: dict[str, Any]) -> str:
    notes = ["answers" if model["is_ready"] else "does not answer"]
    notes += ["pinned"] if model["pinned"] else []
    notes += [f"rollback would go to {model['previous']}"] if model["previous"] else []
    rows = [_COLUMNS, *(_row(model, version) for version in model["versions"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([f"{model['name']}: {', '.join(notes)}", *lines])


def _row(model: dict[str, Any], version: dict[str, Any]) -> tuple[str, ...]:
    labels = [
        f"canary {model['canary_percent']:g}%" if label == "canary" else label
        for label in version["labels"]
    ]
    overlap, memory_bytes = version["golden_overlap"], version["resident_bytes"]
    return (
        str(version["version"]),
        version["state"],
        ", ".join(labels),
        "" if overlap is None else f"{overlap:.3f}",
        f"{memory_bytes / (1 << 20):.0f} MiB" if memory_bytes else "",
        version["load_time"] or "",
        version["message"],
    )
