from collections.abc import Iterator
from pathlib import Path

import pytest

from recserve_client import RecommenderClient, UnavailableError
from recserve_client.loadtest.files import FileError
from recserve_client.loadtest.traffic.drawing import Population
from recserve_client.loadtest.traffic.population import explore, range_of_ids, read_ids
from recserve_client.testing import SAMPLE_ITEMS, FakeServer

NUMBERED = {str(number): [str(number)] for number in range(1, 21)}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(SAMPLE_ITEMS, NUMBERED) as running:
        yield running


@pytest.fixture
def client(server: FakeServer) -> Iterator[RecommenderClient]:
    with RecommenderClient(server.target, timeout_s=30.0) as connected:
        yield connected


def test_users_are_numbered_unless_told(client: RecommenderClient) -> None:
    found = explore(client, "films:8500", None, None, 1)

    assert found.population.user_ids == range_of_ids(20) == sorted(NUMBERED, key=int)
    assert found.warnings == ()
    assert (found.server.target, found.server.user_count, found.server.item_count) == (
        "films:8500",
        20,
        20,
    )
    assert found.server.model_name


def test_items_are_the_most_popular_ones_unless_told(client: RecommenderClient) -> None:
    found = explore(client, "films:8500", None, None, 1)

    popular = [item.item_id for item in client.recommend("nobody", k=len(SAMPLE_ITEMS))]
    assert found.population.item_ids == popular
    assert sorted(popular) == sorted(item.item_id for item in SAMPLE_ITEMS)


def test_no_more_items_are_asked_for_than_the_model_gives(
    server: FakeServer, client: RecommenderClient
) -> None:
    server.model.max_k = 5
    assert len(explore(client, "films:8500", None, None, 1).population.item_ids) == 5


def test_users_that_are_not_known_are_told() -> None:
    with FakeServer() as server, RecommenderClient(server.target, timeout_s=30.0) as client:
        found = explore(client, server.target, None, None, 1)

    assert found.warnings == (
        "5 of 5 users between 1 and 5 are not known to the model; give the ids of its users by "
        "--users FILE",
    )


def test_who_is_given_is_not_asked_for(server: FakeServer, client: RecommenderClient) -> None:
    found = explore(client, "films:8500", ["a"], ["b"], 1)

    assert (found.population, found.warnings) == (Population(["a"], ["b"]), ())
    assert [call.method for call in server.calls] == ["GetModel"]


def test_a_server_that_fails_is_told(server: FakeServer, client: RecommenderClient) -> None:
    server.fail("UNAVAILABLE", reason="NOT_READY")
    with pytest.raises(UnavailableError):
        explore(client, "films:8500", None, None, 1)


@pytest.mark.parametrize(
    ("content", "ids"),
    [
        ("a\nb\n", ["a", "b"]),
        ("a\r\n\r\nb", ["a", "b"]),
        ("\ufeffa\nb c\né\n", ["a", "b c", "é"]),
    ],
)
def test_ids_are_read_a_line_each(tmp_path: Path, content: str, ids: list[str]) -> None:
    file = tmp_path / "ids.txt"
    file.write_bytes(content.encode())
    assert read_ids(file) == ids


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "has no ids$"), (b"\n\n", "has no ids$"), (b"\xe9\n", "not UTF-8: ")],
)
def test_a_file_without_ids_is_told(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "ids.txt"
    file.write_bytes(content)
    with pytest.raises(FileError, match=rf"^{file} .*{told}"):
        read_ids(file)
    with pytest.raises(FileError, match=r"^cannot read .*/no: No such file or directory$"):
        read_ids(tmp_path / "no")
