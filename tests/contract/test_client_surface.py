import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import Unpack, get_type_hints

import pytest

import recserve_client
from recserve_client import (
    AsyncRecommenderClient,
    RankItemsOptions,
    RecommenderClient,
    RecommendOptions,
    SimilarItemsOptions,
)

ALLOWED_THIRD_PARTY = {"google", "grpc", "recserve", "recserve_client", "typing_extensions"}
IMPORTED_BY = """
import sys
import grpc  # looks for its own extras, such as grpc_health, and loads what is installed
before = set(sys.modules)
import recserve_client
for name in recserve_client.__all__:
    getattr(recserve_client, name)
names = {name.partition(".")[0] for name in set(sys.modules) - before}
# Compiled modules register helpers that are no packages.
files = {name for name in names if hasattr(sys.modules.get(name), "__path__")
         or getattr(sys.modules.get(name), "__file__", None)}
print(*sorted(files - sys.stdlib_module_names))
"""


def run_python(code: str, *flags: str) -> str:
    done = subprocess.run(
        [sys.executable, *flags, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def test_public_names_are_listed_and_sorted() -> None:
    public = {
        name
        for name, value in vars(recserve_client).items()
        if not name.startswith("_") and inspect.isclass(value)
    }

    assert recserve_client.__all__ == sorted(public)
    assert dir(recserve_client) == recserve_client.__all__


def test_every_public_name_and_member_has_a_docstring() -> None:
    for name in recserve_client.__all__:
        public = getattr(recserve_client, name)
        assert inspect.getdoc(public), name
        assert public.__module__.startswith("recserve_client."), name
        for member, value in vars(public).items():
            if inspect.isfunction(value) and not member.startswith("_"):
                assert inspect.getdoc(value), f"{name}.{member}"


def test_both_clients_have_the_same_surface() -> None:
    def surface(client_class):
        return {
            name: blocking(str(inspect.signature(value)))
            for name, value in inspect.getmembers(client_class, inspect.isfunction)
            if name == "__init__" or not name.startswith("_")
        }

    def blocking(signature: str) -> str:
        """Spells an asynchronous iteration as its blocking twin."""
        signature = signature.replace(" | collections.abc.AsyncIterable[str]", "")
        return re.sub(r"(?:Async)?Generator\[(.*?)(, None)+\]$", r"Generator[\1]", signature)

    assert surface(RecommenderClient) == surface(AsyncRecommenderClient)
    assert set(surface(RecommenderClient)) == {
        "__init__", "check_health", "close", "find_similar_items", "get_model", "list_models",
        "more", "rank_items", "recommend", "recommend_batch", "recommend_many", "record_events",
    }  # fmt: skip


@pytest.mark.parametrize("client_class", [RecommenderClient, AsyncRecommenderClient])
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("recommend", RecommendOptions),
        ("recommend_batch", RecommendOptions),
        ("find_similar_items", SimilarItemsOptions),
        ("rank_items", RankItemsOptions),
    ],
)
def test_a_method_takes_its_options_by_keyword(client_class, method, options) -> None:
    hints = get_type_hints(getattr(client_class, method))

    assert hints["options"] == Unpack[options]


@pytest.mark.parametrize("options", [RecommendOptions, RankItemsOptions, SimilarItemsOptions])
def test_the_docstring_of_options_names_every_one(options) -> None:
    named = set(re.findall(r"`(\w+)`", options.__doc__))

    assert set(options.__annotations__) <= named


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(recserve_client, "NoSuchName")


def test_the_package_says_that_it_is_typed() -> None:
    assert Path(recserve_client.__file__).with_name("py.typed").exists()


def test_importing_the_client_imports_few_third_party_packages() -> None:
    assert set(run_python(IMPORTED_BY).split()) <= ALLOWED_THIRD_PARTY


def test_importing_the_client_warns_of_nothing_and_prints_nothing() -> None:
    assert run_python("from recserve_client import *", "-W", "error") == ""


def test_handling_errors_does_not_load_the_generated_messages() -> None:
    loaded = run_python("import recserve_client, sys; print(*sys.modules)").split()

    assert "recserve.v1.recommendation_service_pb2" not in loaded


def test_using_a_client_does_not_load_the_health_messages() -> None:
    loaded = run_python("from recserve_client import *; import sys; print(*sys.modules)").split()

    assert "recserve.v1.recommendation_service_pb2" in loaded
    assert "grpc_health.v1.health_pb2" not in loaded
