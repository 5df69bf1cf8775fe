"""A fake server of six films; `ask` of the folder above calls it through either client."""

from collections.abc import Iterator

import pytest

from recserve_client import RecommenderClient
from recserve_client.testing import FakeServer, Item

ITEMS = (
    Item("alien", "Alien", genres=("Horror", "Sci-Fi"), year=1979),
    Item("brazil", "Brazil", genres=("Comedy", "Sci-Fi"), year=1985),
    Item("casablanca", "Casablanca", genres=("Drama", "War"), year=1942),
    Item("duck", "Duck Soup", genres="Comedy", year=1933),
    Item("et", "E.T.", genres=("Children", "Sci-Fi"), year=1982),
    Item("untold", "Of which nothing is known"),
)
USERS = {"ann": ["alien"], "ben": ["alien", "et"], "cid": []}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(ITEMS, USERS) as running:
        yield running


@pytest.fixture
def client(server: FakeServer) -> Iterator[RecommenderClient]:
    # A busy machine must not make a test fail.
    with RecommenderClient(server.target, timeout_s=30.0) as connected:
        yield connected
