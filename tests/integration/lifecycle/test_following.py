"""A server's directory, labels and signals: what it takes up while it runs, and what ends it."""

import json
import os
import signal
from pathlib import Path

import pytest
from callers import move_in
from server_programs import program, wait_until
from versions_world import publish, write_golden

from recserve_client import HealthStatus, RecommenderClient, UnavailableError


def version(client: RecommenderClient) -> int:
    return client.recommend("u0", k=3).model_version


@pytest.mark.long
def test_a_hangup_has_the_directory_looked_at_though_it_is_never_polled(tmp_path: Path) -> None:
    publish(tmp_path / "models", 1)
    with program(tmp_path, "--poll-interval", 0) as server:
        with RecommenderClient(server.wait_until_serving(), timeout_s=20) as client:
            move_in(tmp_path / "models", 2)
            assert version(client) == 1

            server.send(signal.SIGHUP)
            wait_until(lambda: version(client) == 2)

        assert server.stop() == 0


def test_labels_are_read_again_at_a_hangup_and_broken_ones_change_nothing(tmp_path: Path) -> None:
    publish(tmp_path / "models", 1, 2)
    labels = tmp_path / "labels.json"
    with program(tmp_path, "--labels", labels) as server:
        with RecommenderClient(server.wait_until_serving(), timeout_s=20) as client:
            labels.write_text(json.dumps({"films": {"stable": 1}}))
            server.send(signal.SIGHUP)
            wait_until(lambda: version(client) == 1)

            labels.write_text('{"films": {"stable": 2')
            server.send(signal.SIGHUP)
            told = server.wait_for("the model directory was not looked at")
            assert "labels.json cannot be read" in told["reason"]
            assert version(client) == 1

            labels.write_text("{}")
            server.send(signal.SIGHUP)
            wait_until(lambda: version(client) == 2)

        assert server.stop() == 0


@pytest.mark.long
def test_a_version_that_was_refused_is_tried_again_at_a_hangup(tmp_path: Path) -> None:
    publish(tmp_path / "models", 1)
    with program(tmp_path) as server:
        server.wait_until_serving()
        write_golden(publish(tmp_path / "models", 2), as_version=9)
        record = server.wait_for("refused a model version")
        assert (record["version"], record["level"]) == (2, "ERROR")

        before = len(server.logged("refused a model version"))
        server.send(signal.SIGHUP)
        server.wait_for("refused a model version", times=before + 1)

        assert server.stop() == 0


@pytest.mark.long
def test_a_directory_that_is_away_is_told_of_and_taken_up_again(tmp_path: Path) -> None:
    publish(tmp_path / "models", 1)
    with program(tmp_path) as server:
        with RecommenderClient(server.wait_until_serving(), timeout_s=20) as client:
            (tmp_path / "models").rename(tmp_path / "away")
            told = server.wait_for("the model directory was not looked at")
            assert "cannot list" in told["reason"]
            assert version(client) == 1
            assert client.check_health() is HealthStatus.SERVING

            publish(tmp_path / "away", 2)
            (tmp_path / "away").rename(tmp_path / "models")
            wait_until(lambda: version(client) == 2)

        assert server.stop() == 0


def test_without_a_model_a_server_ends_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with program(tmp_path, "--drain-delay", 60) as server:
        assert server.process.wait(30) == 1
        assert "holds no model: expected NAME/VERSION/manifest.json" in server.last_line()


def test_a_server_told_to_wait_for_a_model_takes_it_when_it_comes(tmp_path: Path) -> None:
    address = "127.0.0.1:0"
    with program(tmp_path, "--wait-for-model", address=address) as server:
        listening = server.wait_for("listening, loading the model")
        with RecommenderClient(listening["address"], timeout_s=20) as client:
            server.wait_for("waiting for a model", times=2)
            assert client.check_health() is HealthStatus.NOT_SERVING
            assert client.check_health("liveness") is HealthStatus.SERVING
            with pytest.raises(UnavailableError) as caught:
                client.recommend("u0", timeout_s=1)
            assert caught.value.reason == "NOT_READY"

            write_golden(publish(tmp_path / "models", 1), as_version=9)
            assert server.wait_for("refused a model version")["version"] == 1
            publish(tmp_path / "models", 2)
            server.wait_until_serving()

            assert client.check_health() is HealthStatus.SERVING
            assert version(client) == 2
        assert server.stop() == 0


@pytest.mark.long
def test_a_server_that_waits_looks_at_once_at_a_hangup_and_can_be_stopped(tmp_path: Path) -> None:
    with program(tmp_path, "--wait-for-model", "--poll-interval", 3600) as server:
        server.wait_for("waiting for a model")
        publish(tmp_path / "models", 1)
        server.send(signal.SIGHUP)
        server.wait_until_serving()
        assert server.stop() == 0
    (tmp_path / "nothing").mkdir()
    with program(tmp_path / "nothing", "--wait-for-model", "--poll-interval", 3600) as server:
        server.wait_for("waiting for a model")
        assert server.stop() == 0


@pytest.mark.long
def test_labels_that_cannot_be_read_at_start_end_it(tmp_path: Path) -> None:
    publish(tmp_path / "models", 1)
    labels = tmp_path / "labels.json"
    labels.write_text("[" * 100_000)
    with program(tmp_path, "--labels", labels) as server:
        assert server.process.wait(30) == 1
        assert "labels.json cannot be read" in server.last_line()
        assert "Traceback" not in server.log.read_text()


@pytest.mark.long
def test_a_socket_that_cannot_be_is_told_before_anything_is_loaded(tmp_path: Path) -> None:
    publish(tmp_path / "models", 1)
    with program(tmp_path, "--admin-socket", tmp_path / "nowhere" / "socket") as server:
        assert server.process.wait(30) == 1
        assert server.last_line().endswith("for recserve-serve admin: No such file or directory")
    with program(tmp_path, "--admin-socket", tmp_path / "socket") as first:
        first.wait_until_serving()
        with program(tmp_path, "--admin-socket", tmp_path / "socket") as second:
            assert second.process.wait(30) == 1
            assert second.last_line().endswith("another server listens there")
        assert first.stop() == 0
    assert not (tmp_path / "socket").exists()


@pytest.mark.long
def test_a_server_killed_leaves_its_socket_to_the_next(tmp_path: Path) -> None:
    publish(tmp_path / "models", 1)
    for _ in range(2):
        with program(tmp_path, "--admin-socket", tmp_path / "socket") as server:
            server.wait_until_serving()
            os.kill(server.process.pid, signal.SIGKILL)
            server.process.wait(30)
        assert (tmp_path / "socket").exists()
