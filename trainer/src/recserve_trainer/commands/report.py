"""`recserve-train report`: one HTML page about a published version."""

import argparse
from pathlib import Path

from recserve_trainer.commands.flags import add_version_flags, folder
from recserve_trainer.errors import TrainerError, UsageError

_DESCRIPTION = """\
Renders the model card of a published version as one HTML page with everything in it, beside a table
of all versions of that name, and prints the path. Versions without a card are shown from their
manifest."""
_EPILOG = "Exit codes: 0 written, 1 failed, 2 wrong usage."


def parser() -> argparse.ArgumentParser:
    """Returns the flags of this command."""
    made = argparse.ArgumentParser(
        prog="recserve-train report",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_version_flags(made, "tell of")
    add = made.add_argument
    add(
        "--out",
        type=folder,
        default=argparse.SUPPRESS,
        metavar="FILE",
        help="where to write the page (default: NAME-VERSION.html in the current folder)",
    )
    return made


def run(arguments: argparse.Namespace) -> None:
    """Writes the page and prints its path.

    Raises:
        UsageError: the version is no number from 1 on.
        TrainerError: there is no such version, its card cannot be read, or the page cannot be
            written.
    """
    number = getattr(arguments, "number", None)
    if number is not None and number < 1:
        raise UsageError(f"--version is {number}, must be 1 or more")
    # After the arguments are known to be good: plots and protos take a second to import.
    from recserve_trainer.artifact.card_page import render_page
    from recserve_trainer.artifact.versions import choose_version, read_versions

    versions = read_versions(arguments.models, arguments.name)
    version = choose_version(versions, number)
    out: Path = getattr(arguments, "out", Path(f"{arguments.name}-{version.number}.html"))
    page = render_page(version, versions)
    try:
        out.write_text(page, encoding="utf-8", newline="\n")
    except OSError as error:
        raise TrainerError(f"cannot write {out}: {error.strerror}") from error
    print(out)
