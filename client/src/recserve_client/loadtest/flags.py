"""The command line of `recserve loadtest`."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from recserve_client._cli import flags as cli_flags
from recserve_client._cli.security import add_security_flags

from .conditions import NAMES
from .plan import Arrivals

_DESCRIPTION: Final = """\
Find out how much a recserve server holds.

How calls leave, one of:
  --rate 500            open loop: 500 calls a second, whether or not the
                        server keeps up; latency counts from when a call was
                        meant to leave
  --rate 100,200,400    one after the other; 100..1000 is a ramp
  --concurrency 32      closed loop: 32 calls are always under way; 1,8,128
                        one after the other
  --slo p99=20ms        search for the highest rate that keeps it
  --replay FILE         the calls of a recording, at its times if it has any

Also: recserve loadtest compare A.json B.json
      recserve loadtest report A.json --html A.html
"""
_EPILOG: Final = """\
FILE of an outcome may be - for standard output.

exit status: 0 success, 1 failure, or a condition of --fail-if holds,
2 wrong usage
"""


def loadtest_parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """Makes the parser of a load test."""
    parser = argparse.ArgumentParser(
        prog="recserve loadtest",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_server(parser.add_argument_group("server"), environ)
    add_security_flags(parser, environ)
    load, questions = parser.add_argument_group("load"), parser.add_argument_group("questions")
    _add_pressure(load)
    _add_length(load)
    _add_people(questions)
    _add_options(questions)
    _add_recording(questions)
    _add_outcome(parser.add_argument_group("outcome"))
    return parser


def compare_parser() -> argparse.ArgumentParser:
    """Makes the parser of the comparison."""
    parser = argparse.ArgumentParser(
        prog="recserve loadtest compare",
        description="Tell whether the second run is better or worse than the first, and how sure "
        "that is.",
        epilog="exit status: 0 success, 1 failure, or it is worse and --fail-if-worse is given, "
        "2 wrong usage",
    )
    parser.add_argument("before", type=Path, metavar="A.json", help="a run, written by --json")
    parser.add_argument("after", type=Path, metavar="B.json", help="another run")
    parser.add_argument(
        "--tolerance", default="5%", metavar="SHARE", help="least change that counts (default: 5%%)"
    )
    parser.add_argument(
        "--fail-if-worse", action="store_true", help="exit with 1 if it is worse (default: do not)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON (default: a table)")
    return parser


def report_parser() -> argparse.ArgumentParser:
    """Makes the parser of what draws a page from a run."""
    parser = argparse.ArgumentParser(
        prog="recserve loadtest report",
        description="Make a page, or a table, of a run.",
        epilog="exit status: 0 success, 1 failure, 2 wrong usage",
    )
    parser.add_argument("run", type=Path, metavar="A.json", help="a run, written by --json")
    parser.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="write a page with charts there; - for standard output (default: print a table)",
    )
    return parser


def _add_server(group: argparse._ArgumentGroup, environ: Mapping[str, str]) -> None:
    add = group.add_argument
    target = environ.get("RECSERVE_TARGET") or "localhost:8500"
    add(
        "--target",
        default=target,
        metavar="HOST:PORT",
        help="server to ask (default: $RECSERVE_TARGET, else localhost:8500)",
    )
    add(
        "--metrics",
        metavar="URL",
        help="the server's metrics, as http://HOST:9090/metrics, which tell the sizes of batches "
        "(default: not read)",
    )
    add(
        "--timeout",
        default="1s",
        metavar="TIME",
        help="deadline of each call; 0 for none (default: 1s)",
    )
    add(
        "--connections",
        type=int,
        default=8,
        metavar="N",
        help="connections of all processes together, at least one for each (default: 8)",
    )


def _add_pressure(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--rate",
        metavar="RATES",
        help="calls per second (default: no open loop); with --slo, LOW..HIGH are the first rate "
        "to try and the highest (default: 50..100000)",
    )
    add(
        "--concurrency",
        metavar="NUMBERS",
        help="calls always under way (default: no closed loop)",
    )
    add(
        "--slo",
        action="append",
        metavar="LIMIT",
        help="limit of a latency to keep, as p99=20ms; may be repeated (default: no search)",
    )
    add(
        "--max-errors",
        default="0.1%",
        metavar="SHARE",
        help="share of errors that a search allows (default: 0.1%%)",
    )
    add(
        "--arrivals",
        choices=(Arrivals.POISSON.value, Arrivals.CONSTANT.value),
        default=Arrivals.POISSON.value,
        help="how calls of an open loop are spread (default: poisson)",
    )


def _add_length(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--duration",
        default="30s",
        metavar="TIME",
        help="measured time of each stage (default: 30s)",
    )
    add("--warmup", default="2s", metavar="TIME", help="time before, not measured (default: 2s)")
    add(
        "--until-stable",
        action="store_true",
        help="go on until p99 of each third of the last --duration is within 10 %% of their mean, "
        "up to five times as long (default: do not)",
    )
    add(
        "--processes",
        type=int,
        metavar="N",
        help="processes that send (default: one for each 8000 calls a second, up to the number of "
        "cores)",
    )
    add("--seed", type=int, default=1, metavar="N", help="draws all that is random (default: 1)")


def _add_people(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--users",
        type=Path,
        metavar="FILE",
        help="ids of known users, one a line (default: 1 to as many as the model has)",
    )
    add(
        "--items",
        type=Path,
        metavar="FILE",
        help="ids of items for histories and exclusions (default: the 500 most popular)",
    )
    add(
        "--zipf",
        type=float,
        default=1.0,
        metavar="S",
        help="Zipf's exponent: the n-th most frequent user asks 1/n^S as often (default: 1)",
    )
    add("--unknown", default="0", metavar="SHARE", help="questions of unknown users (default: 0)")


def _add_options(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "-k",
        default="10",
        metavar="N",
        help="items wanted; 10=80%%,50=20%% for several numbers (default: 10)",
    )
    add(
        "--history",
        metavar="SHARE[:N..N]",
        help="questions with a history of so many items, as 20%%:5..20 (default: none)",
    )
    add(
        "--exclude",
        metavar="SHARE[:N..N]",
        help="questions with so many excluded items, as 10%%:1..100 (default: none)",
    )
    add(
        "--filter",
        dest="filters",
        action="append",
        default=[],
        type=cli_flags.item_filter,
        metavar="CONDITION",
        help="what items must fulfil, as by recserve recommend; may be repeated (default: none)",
    )
    add(
        "--filter-share",
        default="100%",
        metavar="SHARE",
        help="questions with these filters (default: 100%%)",
    )
    add(
        "--batch",
        metavar="SHARE[:N]",
        help="calls of BatchRecommend for N users, as 5%%:64 (default: none)",
    )


def _add_recording(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--replay",
        type=Path,
        metavar="FILE",
        help="ask what a recording says, instead (default: draw questions)",
    )
    add(
        "--speed",
        type=float,
        default=1.0,
        metavar="X",
        help="how many times faster to replay (default: 1)",
    )


def _add_outcome(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--json", type=Path, metavar="FILE", help="write everything (default: do not)")
    add("--html", type=Path, metavar="FILE", help="write a page with charts (default: do not)")
    add(
        "--hgrm",
        type=Path,
        metavar="FILE",
        help="write HdrHistogram's table of the last stage (default: do not)",
    )
    add(
        "--fail-if",
        action="append",
        default=[],
        metavar="CONDITION",
        help="exit with 1 if it holds in any stage, or in a search at the rate found, as "
        f"'p99>20ms' or 'errors>0.1%%'; names are {', '.join(NAMES)}; may be repeated "
        "(default: none)",
    )
    add("--quiet", action="store_true", help="show nothing while it runs (default: show)")
