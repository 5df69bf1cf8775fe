"""The arguments that the commands take."""

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from recserve_client._questions import EventType

from . import flags
from .shared_flags import (
    answer_flags,
    asker_flags,
    common_flags,
    selection_flags,
    user_flag,
    users_flag,
)

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_EPILOG: Final = "exit status: 0 success, 1 failure (one line on stderr), 2 wrong usage"


def parse(argv: Sequence[str] | None, environ: Mapping[str, str]) -> argparse.Namespace:
    """Reads the arguments; wrong usage exits with 2.

    Args:
        argv: Arguments without the program's name; None means those of the process.
        environ: The environment, for the target and the token.

    Returns:
        What was given, under the names of the SDK's options where there are such; `error` takes
        what else is wrong, and exits.
    """
    parser = _parser(environ)
    arguments = parser.parse_args(argv)
    arguments.error = parser.error
    for flag, pairs in (("--feature", "features"), ("--cap", "caps")):
        names = [name for name, _ in getattr(arguments, pairs, ())]
        if len(set(names)) < len(names):
            parser.error(
                f"{flag} is given for {', '.join(names)}, must be given once for each name"
            )
    if arguments.command in ("recommend", "rank") and not (
        arguments.user or arguments.history or arguments.features
    ):
        parser.error("one of --user, --history and --feature must be given")
    if arguments.command == "events":
        _check_events(parser, arguments)
    return arguments


def _check_events(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    required = {"--user": arguments.user, "--item": arguments.item, "--type": arguments.type}
    optional = {"--rating": arguments.rating, "--event-id": arguments.event_id}
    given = [flag for flag, value in (required | optional).items() if value is not None]
    if arguments.file is not None and given:
        parser.error(f"--file has all events, but there is {given[0]} too")
    missing = [flag for flag, value in required.items() if value is None]
    if arguments.file is None and missing:
        parser.error(f"{', '.join(missing)} must be given, or else --file")


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="recserve", description="Ask a recserve server for recommendations.", epilog=_EPILOG
    )
    parser.add_argument(
        "--version", action=_PrintVersion, nargs=0, help="print the client's version and exit"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = common_flags(environ)
    answer, asker, selection = answer_flags(), asker_flags(), selection_flags()

    _add_recommend(commands, [users_flag(), asker, selection, answer, common])
    _add_similar(commands, [selection, answer, common])
    _add_rank(commands, [user_flag(), asker, answer, common])
    _add_events(commands, [common])
    _add_command(commands, "models", "list the models of the server", [common])

    # Listed here and parsed apart: it takes more flags than all others, and other libraries.
    commands.add_parser("loadtest", help="find out how much a server holds", add_help=False)

    health = _add_command(commands, "health", "ask whether the server accepts calls", [common])
    health.add_argument(
        "--service",
        default="",
        metavar="NAME",
        help="one gRPC service, or 'liveness' for whether the server runs at all, ready or not "
        "(default: the whole server)",
    )
    return parser


def _add_recommend(commands: "Subparsers", parents: list[argparse.ArgumentParser]) -> None:
    recommend = _add_command(
        commands, "recommend", "rank the catalogue for one or more users", parents
    )
    recommend.add_argument(
        "--include-seen",
        action="store_true",
        help="let items of the user's own history come back (default: they do not)",
    )
    recommend.add_argument(
        "--diversity",
        dest="weight",
        type=flags.finite_number,
        metavar="WEIGHT",
        help="weight of variety against score, from 0 to 1 (default: 0)",
    )
    recommend.add_argument(
        "--cap",
        dest="caps",
        action="append",
        default=[],
        type=flags.cap,
        metavar="ATTRIBUTE=COUNT",
        help="at most so many items with the same value of an attribute; may be repeated "
        "(default: no limit)",
    )


def _add_similar(commands: "Subparsers", parents: list[argparse.ArgumentParser]) -> None:
    similar = _add_command(commands, "similar", "find items similar to the given ones", parents)
    similar.add_argument("item_ids", nargs="+", metavar="ITEM", help="id of an item, as it is")


def _add_rank(commands: "Subparsers", parents: list[argparse.ArgumentParser]) -> None:
    rank = _add_command(commands, "rank", "put given items in order for one user", parents)
    rank.add_argument("item_ids", nargs="+", metavar="ITEM", help="id of an item, as it is")


def _add_events(commands: "Subparsers", parents: list[argparse.ArgumentParser]) -> None:
    events = _add_command(commands, "events", "record what users did", parents)
    events.add_argument("--user", metavar="ID", help="who did it (default: as in the file)")
    events.add_argument("--item", metavar="ID", help="to which item (default: as in the file)")
    types = ", ".join(EventType)
    events.add_argument(
        "--type",
        type=flags.event_type,
        metavar="TYPE",
        help=f"what it was: {types} (default: as in the file)",
    )
    events.add_argument(
        "--rating",
        type=flags.finite_number,
        metavar="NUMBER",
        help="the rating, if it was one (default: none)",
    )
    events.add_argument(
        "--event-id",
        metavar="ID",
        help="name of the event, so that it counts once however often it is sent (default: random)",
    )
    events.add_argument(
        "--file",
        metavar="FILE",
        help="take the events from a file, or from stdin if it is '-': on each line a JSON object "
        "with user_id, item_id, type, and as needed rating, time in ISO 8601 with a zone, and "
        "event_id; sent in calls of 1000 (default: none, but the one event of the other flags)",
    )


def _add_command(
    commands: "Subparsers",
    name: str,
    summary: str,
    parents: list[argparse.ArgumentParser],
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=_EPILOG,
        parents=parents,
    )


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
