"""What the documents show runs as it is shown."""

import re
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
