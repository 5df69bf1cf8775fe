import importlib
import re
from collections import Counter
from pathlib import Path

import pytest

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
MODULES = ["recserve_client", "recserve_client.testing", "recserve_client.tracing"]
SHOWN = Counter(
    tuple(name.rsplit(".", 1))
    for page in sorted(REFERENCE.glob("*.md"))
    for name in re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.M)
)


@pytest.mark.parametrize("module", MODULES)
def test_each_public_name_is_in_the_reference_once(module: str) -> None:
    shown = sorted(name for of, name in SHOWN.elements() if of == module)

    assert shown == sorted(importlib.import_module(module).__all__)


def test_nothing_else_is_in_the_reference() -> None:
    assert {of for of, _ in SHOWN} == set(MODULES)


@pytest.mark.parametrize("name", ["RecommenderClient", "AsyncRecommenderClient"])
def test_all_methods_of_a_client_are_in_the_reference(name: str) -> None:
    client_class = getattr(importlib.import_module("recserve_client"), name)
    page = (REFERENCE / "clients.md").read_text("utf-8")
    [listed] = re.findall(
        rf"^::: recserve_client\.{name}\n.*\n      members: \[([^]]*)\]", page, re.M
    )

    assert sorted(re.findall(r"\w+", listed)) == sorted(
        method for method in dir(client_class) if not method.startswith("_")
    )
