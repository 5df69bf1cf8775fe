"""The command line `recserve`: argv to one call to printed result."""

import argparse
import io
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import recserve_client

from . import _cli_format
from ._errors import RecommenderError, UnavailableError
from ._types import HealthStatus

_DEFAULT_TARGET: Final = "localhost:8500"
_DEFAULT_TIMEOUT_S: Final = 2.0
_EPILOG: Final = "exit status: 0 success, 1 failure (one line on stderr), 2 wrong usage"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: Arguments without the program's name; None means those of the process.

    Returns:
        0, or 1 after a failure. Wrong usage exits with 2.
    """
    parser = _parser(os.environ)
    arguments = parser.parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A title outside the terminal's encoding must not cost the whole answer.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        failure = _run(parser, arguments)
        sys.stdout.flush()
    except RecommenderError as error:
        failure = _described(error, arguments.target)
    except KeyboardInterrupt:
        failure = "interrupted"
    except BrokenPipeError:
        _discard_stdout()
        return 1
    except OSError as error:
        _discard_stdout()
        failure = f"cannot write the result: {error.strerror}"
    if failure:
        print(f"recserve: {failure}", file=sys.stderr)
        return 1
    return 0


def _run(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> str:
    """Makes the call and prints the result; returns what is wrong with it, or nothing."""
    try:
        client = recserve_client.RecommenderClient(arguments.target, timeout_s=arguments.timeout)
    except ValueError as error:
        parser.error(str(error))
    with client:
        if arguments.command == "recommend":
            return _recommend(client, arguments)
        if arguments.command == "models":
            return _models(client, arguments)
        return _health(client, arguments)


def _recommend(client: recserve_client.RecommenderClient, arguments: argparse.Namespace) -> str:
    options = {name: getattr(arguments, name) for name in ("k", "model", "include_seen")}
    if len(arguments.user) > 1:
        recommendations = client.recommend_batch(arguments.user, **options)
        as_json, as_text = _cli_format.recommendations_json, _cli_format.recommendations_text
        print((as_json if arguments.json else as_text)(recommendations))
        return ""
    recommendation = client.recommend(arguments.user[0], **options)
    one_as_json, one_as_text = _cli_format.recommendation_json, _cli_format.recommendation_text
    print((one_as_json if arguments.json else one_as_text)(recommendation))
    return ""


def _models(client: recserve_client.RecommenderClient, arguments: argparse.Namespace) -> str:
    models = client.list_models()
    print((_cli_format.models_json if arguments.json else _cli_format.models_text)(models))
    return ""


def _health(client: recserve_client.RecommenderClient, arguments: argparse.Namespace) -> str:
    status = client.check_health(arguments.service)
    as_json, as_text = _cli_format.health_json, _cli_format.health_text
    print((as_json if arguments.json else as_text)(arguments.service, status))
    if status is HealthStatus.SERVING:
        return ""
    return f"{arguments.target} does not serve {arguments.service or 'calls'}: {status}"


def _discard_stdout() -> None:
    # The interpreter flushes at exit, and would complain once more.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _described(error: RecommenderError, target: str) -> str:
    # Without a reason the answer is not the server's: nobody was reached.
    if isinstance(error, UnavailableError) and not error.reason:
        return f"cannot reach {target}: {error}"
    request = f" (request id {error.request_id})" if error.request_id else ""
    wait = f"; try again in {error.retry_after_s:g} s" if error.retry_after_s else ""
    return f"{error}{wait}{request}"


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="recserve", description="Ask a recserve server for recommendations.", epilog=_EPILOG
    )
    parser.add_argument(
        "--version", action=_PrintVersion, nargs=0, help="print the client's version and exit"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = _common_flags(environ)

    _add_recommend(commands, common)
    _add_command(commands, "models", "list the models of the server", common)

    health = _add_command(commands, "health", "ask whether the server accepts calls", common)
    health.add_argument(
        "--service", default="", metavar="NAME", help="one gRPC service (default: the whole server)"
    )
    return parser


def _add_recommend(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    recommend = _add_command(
        commands, "recommend", "rank the catalogue for one or more users", common
    )
    recommend.add_argument(
        "--user",
        action="append",
        required=True,
        metavar="ID",
        help="who is asking (required); repeat it to ask for up to 256 users in one call, whose "
        "JSON is an array",
    )
    recommend.add_argument(
        "-k",
        type=_positive_int,
        default=10,
        metavar="N",
        help="items wanted for each user (default: 10)",
    )
    recommend.add_argument(
        "--model", default="", metavar="NAME", help="model to ask (default: the one served)"
    )
    recommend.add_argument(
        "--include-seen",
        action="store_true",
        help="let items of the user's own history come back (default: they do not)",
    )


def _common_flags(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--target",
        default=environ.get("RECSERVE_TARGET") or _DEFAULT_TARGET,
        metavar="HOST:PORT",
        help=f"server to ask (default: $RECSERVE_TARGET, else {_DEFAULT_TARGET})",
    )
    common.add_argument(
        "--timeout",
        type=float,
        default=_DEFAULT_TIMEOUT_S,
        metavar="SECONDS",
        help="longest wait for the whole answer (default: %(default)g)",
    )
    common.add_argument("--json", action="store_true", help="print JSON (default: text for people)")
    return common


def _add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    summary: str,
    common: argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=_EPILOG,
        parents=[common],
    )


def _positive_int(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"is {text!r}, must be a whole number from 1")
    return value


class _PrintVersion(argparse.Action):
    """Looks the version up only when asked, which takes longer than all other parsing."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        from importlib.metadata import version

        print(f"recserve {version('recserve-client')}")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
