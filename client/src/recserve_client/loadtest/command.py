"""`recserve loadtest` and its further commands."""

import argparse
import contextlib
import dataclasses
import io
import json
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType
from typing import Final, TextIO

from rich.console import Console

from recserve_client._cli import stdout
from recserve_client._cli.access import Access
from recserve_client._cli.failures import described
from recserve_client._cli.security import CredentialsError, channel_config, read_access
from recserve_client._client import RecommenderClient
from recserve_client._errors import RecommenderError

from . import units
from .compare import compare
from .comparison_table import print_comparison
from .files import STANDARD_OUTPUT, FileError, check_writable, read_run, to_json, write_text
from .flags import compare_parser, loadtest_parser, report_parser
from .latency import LatencyRecorder
from .plan import PlanError
from .reading import read_mix, read_plan
from .report.page import page
from .result import Run
from .server_metrics import MetricsError, MetricsReader
from .session import Session, Told
from .tables import print_run
from .traffic.drawing import draw_questions
from .traffic.population import Found, explore, read_ids
from .traffic.recording import Recording, read_recording
from .view import View

_QUESTIONS: Final = 20_000
"""Different calls that are drawn; after them they begin again."""
_EXPLORE_TIMEOUT_S: Final = 10.0
_WIDTH: Final = 120


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Runs the command line behind `recserve loadtest`.

    Returns:
        0, or 1 after a failure or a condition that holds. Wrong usage exits with 2.
    """
    commands = {"compare": (_compare, compare_parser()), "report": (_report, report_parser())}
    name = argv[0] if argv else ""
    run, parser = commands.get(name, (_loadtest, loadtest_parser(environ)))
    flags = parser.parse_args(argv[1:] if name in commands else argv)
    flags.argv = tuple(argv)
    stdout.escape_odd_characters()
    try:
        with _terminable():
            code = run(flags)
            sys.stdout.flush()
            return code
    except PlanError as error:
        parser.error(str(error))
    except (CredentialsError, FileError, MetricsError) as error:
        failure = str(error)
    except RecommenderError as error:
        failure = described(error, flags.target)
    except KeyboardInterrupt:
        failure = "interrupted"
    except OSError as error:
        stdout.discard()
        failure = f"cannot write the result: {error.strerror or error}"
    _fail(failure)
    return 1


def _loadtest(flags: argparse.Namespace) -> int:
    recording = read_recording(flags.replay) if flags.replay is not None else None
    access = _access(flags)
    plan = read_plan(flags, _times_s(recording, flags), access)
    mix = read_mix(flags)
    outcomes = [path for path in (flags.json, flags.html, flags.hgrm) if path is not None]
    # A typing mistake is better told before an hour of load than after it.
    for path in outcomes:
        check_writable(path)
    # What goes to standard output is for programs, then people look elsewhere.
    console = _console(sys.stderr if STANDARD_OUTPUT in outcomes else sys.stdout)
    metrics = MetricsReader(flags.metrics) if flags.metrics else None
    found = _explore(flags, access, asks=recording is None)
    if recording is None:
        questions = draw_questions(mix, found.population, _QUESTIONS, flags.seed)
        told = Told(arguments=flags.argv, mix=str(mix))
    else:
        questions = list(recording.questions)
        told = Told(arguments=flags.argv, mix=f"recording {flags.replay.name}")
    with View(console, is_quiet=flags.quiet) as view:
        session = Session(plan, found, metrics, view)
        run = session.run(questions, told)
    try:
        _write(flags, run)
    finally:
        print_run(console, run)
    if session.broken_off:
        _fail(session.broken_off)
    return int(bool(session.broken_off) or any(condition.failed for condition in run.conditions))


def _compare(flags: argparse.Namespace) -> int:
    tolerance = units.share(flags.tolerance)
    found = compare(read_run(flags.before), read_run(flags.after), tolerance=tolerance)
    if flags.json:
        print(json.dumps({**dataclasses.asdict(found), "verdict": found.verdict}, indent=1))
    else:
        print_comparison(_console(sys.stdout), found)
    return int(flags.fail_if_worse and found.verdict == "worse")


def _report(flags: argparse.Namespace) -> int:
    run = read_run(flags.run)
    if flags.html is None:
        print_run(_console(sys.stdout), run)
    else:
        write_text(flags.html, page(run))
    return 0


def _explore(flags: argparse.Namespace, access: Access, *, asks: bool) -> Found:
    """Looks at the server; without `asks` not for users and items, which a recording brings."""
    unsaid: list[str] | None = None if asks else []
    user_ids = unsaid if flags.users is None else read_ids(flags.users)
    item_ids = unsaid if flags.items is None else read_ids(flags.items)
    try:
        config = channel_config(access)
        client = RecommenderClient(flags.target, config=config, timeout_s=_EXPLORE_TIMEOUT_S)
    except ValueError as error:
        raise PlanError(str(error)) from error
    with client:
        return explore(client, flags.target, user_ids, item_ids, flags.seed)


def _access(flags: argparse.Namespace) -> Access:
    try:
        return read_access(flags)
    except ValueError as error:
        raise PlanError(str(error)) from error


def _times_s(recording: Recording | None, flags: argparse.Namespace) -> tuple[float, ...]:
    if recording is None or flags.rate or flags.concurrency or flags.slo:
        return ()
    if not 0 < flags.speed <= 1000:
        raise PlanError(f"--speed is {flags.speed:g}, must be above 0, at most 1000")
    return tuple(time_s / flags.speed for time_s in recording.times_s)


def _write(flags: argparse.Namespace, run: Run) -> None:
    if flags.json is not None:
        write_text(flags.json, to_json(run))
    if flags.html is not None:
        write_text(flags.html, page(run))
    if flags.hgrm is not None:
        text = io.StringIO()
        LatencyRecorder.decode(run.stages[-1].histogram).write_hgrm(text)
        write_text(flags.hgrm, text.getvalue())


def _fail(failure: str) -> None:
    print(f"recserve loadtest: {failure}", file=sys.stderr)


def _console(stream: TextIO) -> Console:
    is_seen = stream.isatty()
    # By itself rich believes FORCE_COLOR, as many a CI sets it, that there is somebody to look.
    interactive = None if is_seen else False
    console = Console(file=stream, highlight=False, soft_wrap=True, force_interactive=interactive)
    if not is_seen:
        console.width = _WIDTH
    return console


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Makes SIGTERM end the test as Ctrl-C does, so that no process is left behind."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
