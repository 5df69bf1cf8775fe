"""Commands of operators, over the socket of a server that answers calls meanwhile."""

import asyncio
import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from callers import move_in, under_load, until
from versions_world import best, publish, write_golden

from recserve_client import AsyncRecommenderClient
from recserve_server.cli.admin import ask
from recserve_server.config import ServerConfig
from recserve_server.lifecycle import Server
from recserve_server.testing import running_server

THREADS = ThreadPoolExecutor(16)


class Operator:
    """Somebody who gives a server commands."""

    def __init__(self, config: ServerConfig) -> None:
        self._path = config.admin_socket
        self.status: dict = {}

    async def says(self, command: str, **fields: object) -> dict:
        """Gives a command; returns the status of the only model after it."""
        message = {"command": command, **fields}
        # Threads of its own: the server in this process needs the event loop's.
        asking = asyncio.get_running_loop().run_in_executor(THREADS, ask, self._path, message)
        self.status = (await asking)["models"][0]
        return self.status

    def labels(self) -> dict[int, list[str]]:
        """Returns the labels by version, of those that have any, as of the last command."""
        found = {each["version"]: each["labels"] for each in self.status["versions"]}
        return {version: labels for version, labels in found.items() if labels}

    async def sees(self) -> dict:
        """Returns the status but for what grows and shrinks by itself."""
        status = await self.says("status")
        for version in status["versions"]:
            del version["resident_bytes"]
        return status


@pytest.fixture
async def operator(server: Server, config: ServerConfig) -> Operator:
    """An operator of a server that has had versions 1, 2 and 3, one after another."""
    for version in (2, 3):
        move_in(config.models_dir, version)
        await until(lambda now=version: server.store.lineup().stable.version.number == now)
    return Operator(config)


async def answering(server: Server) -> int:
    async with AsyncRecommenderClient(server.address, timeout_s=20.0) as client:
        answer = await client.recommend("u0", k=5)
    assert [item.item_id for item in answer] == best(answer.model_version, 0, 5)
    return answer.model_version


async def test_status_tells_of_every_version(operator: Operator, config: ServerConfig) -> None:
    write_golden(publish(config.models_dir, 4), as_version=9)
    status = await operator.says("reload")

    assert (status["name"], status["is_ready"], status["pinned"]) == ("films", True, False)
    assert status["previous"] == 2
    states = {each["version"]: each["state"] for each in status["versions"]}
    assert states == {4: "refused", 3: "serving", 2: "available", 1: "available"}
    assert "golden queries" in status["versions"][0]["message"]
    assert status["versions"][1]["resident_bytes"] > 10 << 20
    assert status["versions"][2]["resident_bytes"] == 0


async def test_pin_and_unpin(operator: Operator, server: Server, config: ServerConfig) -> None:
    await operator.says("pin", version=1)
    assert (operator.labels(), operator.status["pinned"]) == ({1: ["stable"]}, True)
    assert await answering(server) == 1
    assert json.loads(config.versions.labels_file.read_text())["films"]["stable"] == 1

    await operator.says("unpin")
    assert (operator.labels(), operator.status["pinned"]) == ({3: ["stable"]}, False)
    assert await answering(server) == 3
    assert json.loads(config.versions.labels_file.read_text()) == {}


async def test_a_rollback_goes_back_and_a_second_one_returns(
    operator: Operator, server: Server
) -> None:
    await operator.says("rollback")
    assert await answering(server) == 2
    assert operator.status["previous"] == 3

    await operator.says("rollback")
    assert await answering(server) == 3
    assert operator.status["previous"] == 2


async def test_a_rollback_holds_though_a_newer_version_comes(
    operator: Operator, server: Server, config: ServerConfig
) -> None:
    await operator.says("rollback")

    move_in(config.models_dir, 4)
    await operator.says("reload")

    assert await answering(server) == 2


async def test_a_canary_is_promoted_or_ended(operator: Operator, server: Server) -> None:
    await operator.says("canary", version=2, percent=25)
    assert operator.labels() == {3: ["stable"], 2: ["canary"]}
    assert operator.status["canary_percent"] == 25
    await operator.says("promote")
    assert operator.labels() == {2: ["stable"]}
    assert operator.status["previous"] == 3
    assert await answering(server) == 2

    await operator.says("canary", version=1)
    assert operator.status["canary_percent"] == 10
    await operator.says("unpin")
    assert operator.labels() == {3: ["stable"]}


async def test_a_canary_may_be_given_another_share(operator: Operator) -> None:
    await operator.says("canary", version=1, percent=5)
    await operator.says("canary", version=1, percent=50)

    assert operator.labels() == {3: ["stable"], 1: ["canary"]}
    assert operator.status["canary_percent"] == 50


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ({"command": "destroy"}, "command 'destroy' is unknown, there are status, reload, pin"),
        ({}, "command None is unknown"),
        ({"command": ["pin"]}, "is unknown"),
        ({"command": "pin"}, "version is None, must be 1 or more"),
        ({"command": "pin", "version": "1"}, "version is '1'"),
        ({"command": "pin", "version": True}, "version is True"),
        ({"command": "pin", "version": 0}, "version is 0"),
        ({"command": "pin", "version": 9}, "there is no version 9 of films, only 1, 2, 3"),
        ({"command": "pin", "name": "books", "version": 1}, "there is no model 'books'"),
        ({"command": "pin", "name": ["films"], "version": 1}, "there is no model"),
        ({"command": "promote"}, "films has no canary to promote"),
        ({"command": "canary", "version": 3}, "version 3 of films is stable already"),
        ({"command": "canary", "version": 1, "percent": 101}, "canary_percent is 101"),
        ({"command": "canary", "version": 1, "percent": -1}, "canary_percent is -1"),
        ({"command": "canary", "version": 1, "percent": math.nan}, "canary_percent is nan"),
        ({"command": "canary", "version": 1, "percent": None}, "canary_percent is None"),
        ({"command": "canary", "version": 1, "percent": [5]}, "canary_percent is"),
        ({"command": "canary", "version": 1, "percent": "5"}, "canary_percent is '5'"),
        ({"command": "profile"}, "profile needs seconds"),
        ({"command": "profile", "seconds": 1}, "profile needs seconds"),
    ],
)
async def test_what_cannot_be_done_is_told_and_changes_nothing(
    operator: Operator, config: ServerConfig, command: dict, reason: str
) -> None:
    before = await operator.sees()

    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        await asyncio.to_thread(ask, config.admin_socket, command)

    assert reason in str(caught.value)
    assert await operator.sees() == before


async def test_a_version_that_is_refused_cannot_be_pinned(
    operator: Operator, server: Server, config: ServerConfig
) -> None:
    write_golden(publish(config.models_dir, 4), as_version=9)

    with pytest.raises(ValueError, match="version 4 of films was refused: it answers"):
        await operator.says("pin", version=4)

    assert await answering(server) == 3


async def test_without_a_version_before_there_is_nothing_to_roll_back_to(
    server: Server, config: ServerConfig
) -> None:
    with pytest.raises(ValueError, match="there is no version of films to roll back to"):
        await Operator(config).says("rollback")


async def test_labels_that_cannot_be_kept_are_not_given(
    config: ServerConfig, tmp_path: Path
) -> None:
    publish(config.models_dir, 2)
    versions = replace(config.versions, labels_file=tmp_path / "nowhere" / "labels.json")
    async with running_server(replace(config, versions=versions)) as server:
        with pytest.raises(ValueError, match="labels cannot be kept in"):
            await Operator(config).says("pin", version=1)

        assert await answering(server) == 2


async def test_of_several_models_it_must_be_said_which(config: ServerConfig) -> None:
    publish(config.models_dir, 7, 8, name="books")
    async with running_server(replace(config, name="films,books")) as server:
        operator = Operator(config)
        with pytest.raises(ValueError, match="there are several models, say which: films, books"):
            await operator.says("rollback")

        await operator.says("pin", name="books", version=7)

        assert server.store.lineup("books").stable.version.number == 7
        assert await answering(server) == 1


async def test_commands_at_a_time_are_run_one_after_another(
    operator: Operator, server: Server, config: ServerConfig
) -> None:
    async with under_load(server.address, callers=4) as load:
        commands = [operator.says("pin", version=1 + place % 3) for place in range(12)]
        commands += [operator.says("rollback"), operator.says("reload"), operator.says("unpin")]
        await asyncio.gather(*commands)
        await operator.says("pin", version=2)
        await until(lambda: load.answered > 20)

    assert load.failed == []
    assert load.wrong == []
    assert operator.labels() == {2: ["stable"]}
    assert json.loads(config.versions.labels_file.read_text())["films"]["stable"] == 2
    assert await answering(server) == 2


async def test_a_reload_takes_labels_written_by_hand(
    operator: Operator, server: Server, config: ServerConfig
) -> None:
    config.versions.labels_file.write_text('{"films": {"stable": 1}}')
    await operator.says("reload")
    assert await answering(server) == 1

    config.versions.labels_file.write_text('{"films": {"stable": "one"}}')
    with pytest.raises(ValueError, match=r"labels\.json: model 'films': stable is 'one'"):
        await operator.says("reload")
    assert await answering(server) == 1

    config.versions.labels_file.unlink()
    await operator.says("reload")
    assert await answering(server) == 3
