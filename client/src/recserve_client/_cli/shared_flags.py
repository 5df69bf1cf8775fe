"""Flags that several commands take, as parents of their parsers."""

import argparse
from collections.abc import Mapping
from typing import Final

from . import flags
from .security import add_security_flags

_DEFAULT_TARGET: Final = "localhost:8500"
_DEFAULT_TIMEOUT_S: Final = 2.0


def user_flag() -> argparse.ArgumentParser:
    """Makes the flag for one user."""
    user = argparse.ArgumentParser(add_help=False)
    user.add_argument(
        "--user", default="", metavar="ID", help="who is asking (default: nobody named)"
    )
    return user


def users_flag() -> argparse.ArgumentParser:
    """Makes the flag for several users."""
    users = argparse.ArgumentParser(add_help=False)
    users.add_argument(
        "--user",
        action="append",
        default=[],
        metavar="ID",
        help="who is asking (default: nobody named); repeat it to ask for up to 256 users in one "
        "call, whose JSON is an array",
    )
    return users


def asker_flags() -> argparse.ArgumentParser:
    """Makes the flags that say who asks."""
    asker = argparse.ArgumentParser(add_help=False)
    asker.add_argument(
        "--history",
        action="extend",
        default=[],
        type=flags.history,
        metavar="ITEM[=RATING],...",
        help="what the user took, oldest first; what follows the last '=' of an item is its rating "
        f"if it is a number; {flags.SPLITTING}; may be repeated (default: none)",
    )
    asker.add_argument(
        "--feature",
        dest="features",
        action="append",
        default=[],
        type=flags.feature,
        metavar="NAME=VALUE",
        help="what is known of the user; a number counts as one, unless it is in double quotes as "
        "in 'zip=\"02139\"'; may be repeated (default: none)",
    )
    asker.add_argument(
        "--strict",
        action="store_true",
        help="fail if nothing is known of who asks (default: popular items)",
    )
    asker.add_argument(
        "--explain", action="store_true", help="say why each item is there (default: do not)"
    )
    return asker


def selection_flags() -> argparse.ArgumentParser:
    """Makes the flags that say what may come back."""
    selection = argparse.ArgumentParser(add_help=False)
    selection.add_argument(
        "-k",
        type=flags.positive_int,
        default=10,
        metavar="N",
        help="items wanted (default: 10)",
    )
    for flag, name, meaning in (
        ("--exclude", "excluded_item_ids", "items that must not come back"),
        ("--only", "allowed_item_ids", "the only items that may come back"),
    ):
        selection.add_argument(
            flag,
            dest=name,
            action="extend",
            default=[],
            type=flags.values,
            metavar="ITEM,...",
            help=f"{meaning}; split like the values of a filter, may be repeated "
            "(default: no restriction)",
        )
    selection.add_argument(
        "--filter",
        dest="filters",
        action="append",
        default=[],
        type=flags.item_filter,
        metavar="CONDITION",
        help="what items must fulfil, as 'genres any Comedy,Drama' (or all, none) or "
        f"'year range 1990..1999' (or 1990.., ..1999); {flags.SPLITTING}; repeated conditions must "
        "all hold (default: none)",
    )
    return selection


def answer_flags() -> argparse.ArgumentParser:
    """Makes the flags that say who answers, and how much is told."""
    answer = argparse.ArgumentParser(add_help=False)
    answer.add_argument(
        "--view",
        type=flags.view,
        metavar="VIEW",
        help="how much to tell of each item: basic, or full for attributes and the percentile of "
        "the score (default: basic)",
    )
    answer.add_argument(
        "--model", default="", metavar="NAME", help="model to ask (default: the server's first)"
    )
    version = answer.add_mutually_exclusive_group()
    version.add_argument(
        "--model-version",
        type=flags.positive_int,
        metavar="N",
        help="version that must answer (default: any)",
    )
    version.add_argument(
        "--model-label",
        default="",
        metavar="LABEL",
        help="label of the version that must answer, stable or canary (default: canary for its "
        "share of users, else stable)",
    )
    return answer


def common_flags(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """Makes the flags of every command; target and token may come from the environment."""
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
    add_security_flags(common, environ)
    return common
