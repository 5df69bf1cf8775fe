"""`recserve-serve doctor`: tells whether a server could run here, and what to do if not."""

import argparse
import dataclasses
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from recserve_server.cli.doctor.finding import Finding, Verdict
from recserve_server.cli.flags import serve_parser
from recserve_server.cli.settings import config_of
from recserve_server.config import ServerConfig

_EPILOG: Final = """\
Takes the flags of recserve-serve. Changes nothing: it may run beside a server, whose ports are then
told to be in use. Exit codes: 0 a server could run, 1 it could not, 2 wrong usage."""


def doctor(argv: Sequence[str]) -> int:
    """Prints a line for everything it looks at; returns 1 if anything would keep a server down."""
    parser = serve_parser("recserve-serve doctor")
    parser.description, parser.epilog = __doc__, _EPILOG
    parser.add_argument("--json", action="store_true", help="print a JSON object for each line")
    arguments = parser.parse_args(argv)
    try:
        config = config_of(arguments)
    except ValueError as error:
        parser.error(str(error))
    # gRPC's core would print lines of its own on standard error, between ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    verdicts: Counter[Verdict] = Counter()
    for finding in _findings(config):
        _print(finding, arguments)
        verdicts[finding.verdict] += 1
    if not arguments.json:
        counts = ", ".join(f"{verdicts[each]} {each.value}" for each in Verdict)
        print(f"\n{counts}: {'a server could not' if verdicts[Verdict.FAIL] else 'ready to'} run")
    return 1 if verdicts[Verdict.FAIL] else 0


def _findings(config: ServerConfig) -> Iterator[Finding]:
    # After the arguments are known to be good: these import gRPC.
    from recserve_server.cli.doctor.files import look_at_files
    from recserve_server.cli.doctor.machine import look_at_machine
    from recserve_server.cli.doctor.models import look_at_models
    from recserve_server.cli.doctor.network import look_at_network
    from recserve_server.cli.doctor.software import look_at_software

    looks: tuple[Callable[[ServerConfig], Iterable[Finding]], ...] = (
        look_at_software,
        look_at_machine,
        look_at_models,
        look_at_files,
        look_at_network,
    )
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # what is logged on the way is a finding of its own
    try:
        for look in looks:
            yield from look(config)
    finally:
        logging.disable(disabled)


def _print(finding: Finding, arguments: argparse.Namespace) -> None:
    if arguments.json:
        fields = {**dataclasses.asdict(finding), "verdict": finding.verdict.value}
        print(json.dumps(fields), flush=True)
    else:
        print(finding, flush=True)
