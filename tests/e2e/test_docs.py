"""What the documents show runs as it is shown."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from recserve_client import RecommenderClient

pytestmark = pytest.mark.tensorflow

REQUESTS = Path(__file__).parents[2] / "docs" / "requests.md"
PREAMBLE, *EXAMPLES = re.findall(r"^```python\n(.*?)^```", REQUESTS.read_text("utf-8"), re.M | re.S)


@pytest.fixture(scope="module")
def address(
    trained: object, serve: Callable[..., AbstractContextManager], tmp_path_factory: object
) -> Iterator[str]:
    events = tmp_path_factory.mktemp("events") / "events.sqlite"
    with serve("--models", trained.models_dir, "--events", events) as program:
        yield program.wait_for("serving").rpartition(" ")[2]


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs(example: str, address: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    exec(PREAMBLE.replace("localhost:8500", address), names)
    client = names["client"]
    assert isinstance(client, RecommenderClient)
    with client:
        exec(example, names)

    told = re.findall(r"print\(.*\)  # (.*)$", example, re.M)
    printed = capsys.readouterr().out.splitlines()
    for line in told:
        assert line in printed or line.startswith("{")


COMMANDS = re.findall(r"^recserve (?:.*\\\n)*.*$", REQUESTS.read_text("utf-8"), re.M)


@pytest.mark.parametrize("line", COMMANDS, ids=lambda line: line.split()[1])
def test_a_command_line_runs(line: str, address: str) -> None:
    [program, *arguments] = shlex.split(line.replace("\\\n", ""))

    ran = subprocess.run(
        [sys.executable, "-m", "recserve_client", *arguments],
        env={**os.environ, "RECSERVE_TARGET": address},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert program == "recserve"
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout
    if "--json" in arguments:
        json.loads(ran.stdout)


def test_all_of_the_commands_are_shown() -> None:
    assert {line.split()[1] for line in COMMANDS} == {"recommend", "similar", "rank", "events"}
