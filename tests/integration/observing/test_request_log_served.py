"""The request log of a real server."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from recserve_client import AsyncRecommenderClient, InvalidRequestError
from recserve_server.config import ObservingConfig, ServerConfig
from recserve_server.testing import running_server


async def served(config: ServerConfig, **observing: object) -> None:
    """Serves one good call, one batch and one bad call."""
    config = replace(config, observing=ObservingConfig(request_log_share=1.0, **observing))
    async with (
        running_server(config) as server,
        AsyncRecommenderClient(server.address, timeout_s=10.0) as client,
    ):
        await client.check_health()
        await client.recommend("u0", k=2)
        await client.recommend_batch(["u1", "nobody"], k=3)
        with pytest.raises(InvalidRequestError):
            await client.recommend("")


async def test_calls_are_written_with_their_batch_and_their_answer(
    config: ServerConfig, tmp_path: Path
) -> None:
    path = tmp_path / "requests.log"
    await served(config, request_log=path)

    one, batch, bad = map(json.loads, path.read_text().splitlines())
    assert (one["method"], one["outcome"], one["k"], one["item_count"]) == ("Recommend", "OK", 2, 2)
    assert (one["model"], one["version"], one["batch_size"]) == ("films", 1, 1)
    assert 0 <= one["queue_ms"] <= one["duration_ms"]
    assert (batch["question_count"], batch["batch_size"]) == (2, 2)
    assert batch["sources"] == ["user_id", "popularity"]
    assert batch["fallbacks"] == ["unknown_user"]
    assert (bad["code"], bad["outcome"]) == ("INVALID_ARGUMENT", "INVALID_FIELDS")
    assert "u0" not in path.read_text()


async def test_a_personal_log_tells_who_asked_and_what_came_back(
    config: ServerConfig, tmp_path: Path
) -> None:
    path = tmp_path / "requests.log"
    await served(config, request_log=path, request_log_personal=True)

    one, batch, _ = map(json.loads, path.read_text().splitlines())
    assert one["request"] == {"user_id": "u0", "k": 2}
    [[first, second]] = one["items"]
    assert first[1] >= second[1]
    assert [len(answer) for answer in batch["items"]] == [3, 3]


async def test_a_full_disk_fails_no_call_and_is_counted(config: ServerConfig) -> None:
    observing = ObservingConfig(request_log=Path("/dev/full"), request_log_share=1.0)
    async with (
        running_server(replace(config, observing=observing)) as server,
        AsyncRecommenderClient(server.address, timeout_s=10.0) as client,
    ):
        answers = await asyncio.gather(*(client.recommend("u0") for _ in range(8)))
        stats = server.app.request_log.stats
        while stats.failed < 8:
            await asyncio.sleep(0.005)

    assert len(answers) == 8
    assert stats.written == 0
