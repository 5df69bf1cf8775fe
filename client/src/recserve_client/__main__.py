"""The command line `recserve`: argv to one call to printed result."""

import argparse
import os
import sys
from collections.abc import Sequence

import recserve_client

from ._cli import stdout
from ._cli.commands import COMMANDS
from ._cli.failures import described
from ._cli.parser import parse
from ._cli.security import CredentialsError, channel_config, read_access
from ._errors import RecommenderError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: Arguments without the program's name; None means those of the process.

    Returns:
        0, or 1 after a failure. Wrong usage exits with 2.
    """
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["loadtest"]:
        return _loadtest(argv[1:])
    arguments = parse(argv, os.environ)
    stdout.escape_odd_characters()
    try:
        failure = _run(arguments)
        sys.stdout.flush()
    except RecommenderError as error:
        failure = described(error, arguments.target)
    except CredentialsError as error:
        failure = str(error)
    except KeyboardInterrupt:
        failure = "interrupted"
    except BrokenPipeError:
        stdout.discard()
        return 1
    except OSError as error:
        stdout.discard()
        failure = f"cannot write the result: {error.strerror}"
    if failure:
        print(f"recserve: {failure}", file=sys.stderr)
        return 1
    return 0


def _loadtest(argv: Sequence[str]) -> int:
    # Imported here because nothing else needs what it needs.
    try:
        from .loadtest.command import main as loadtest
    except ModuleNotFoundError as error:
        install = "pip install 'recserve-client[load]'"
        print(f"recserve loadtest: there is no {error.name} here: {install}", file=sys.stderr)
        return 1
    return loadtest(argv, os.environ)


def _run(arguments: argparse.Namespace) -> str:
    """Makes the call and prints the result; returns what is wrong with it, or nothing."""
    try:
        config = channel_config(read_access(arguments))
        client = recserve_client.RecommenderClient(
            arguments.target, config=config, timeout_s=arguments.timeout
        )
    except ValueError as error:
        arguments.error(str(error))
    with client:
        return COMMANDS[arguments.command](client, arguments)


if __name__ == "__main__":
    sys.exit(main())
