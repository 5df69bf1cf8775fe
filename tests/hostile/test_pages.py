"""docs/faults.md and docs/checks.md name tests that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAULTS = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
CHECKS = (ROOT / "docs/checks.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", FAULTS + CHECKS)))


@pytest.mark.parametrize(("path", "test"), NAMED, ids=[test or path for path, test in NAMED])
def test_a_named_test_is_there(path: str, test: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert not test or f"def {test}(" in text


@pytest.mark.parametrize(("page", "count"), [(FAULTS, 25), (CHECKS, 20)], ids=["faults", "checks"])
def test_each_case_has_a_row_with_a_test(page: str, count: int) -> None:
    rows = dict(re.findall(r"^\| (\d+) \|(.+)$", page, re.MULTILINE))

    assert list(rows) == [str(number) for number in range(1, count + 1)]
    assert all("::test_" in row for row in rows.values())
