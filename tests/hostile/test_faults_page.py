"""docs/faults.md names tests that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


@pytest.mark.parametrize(("path", "test"), NAMED, ids=[test for _, test in NAMED])
def test_a_named_test_is_there(path: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8")


def test_each_of_the_25_cases_has_a_row_with_a_test() -> None:
    rows = dict(re.findall(r"^\| (\d+) \|(.+)$", PAGE, re.MULTILINE))

    assert list(rows) == [str(number) for number in range(1, 26)]
    assert all("::test_" in row for row in rows.values())
