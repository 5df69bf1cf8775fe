"""The command line, in this process where that will do and as a process where it will not."""

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2 as details_pb

from recserve.v1 import model_service_pb2 as model_pb
from recserve_client.__main__ import main

COMMAND = [sys.executable, "-m", "recserve_client"]
UNREACHABLE = "127.0.0.1:1"


@pytest.fixture(autouse=True)
def _environ(server, monkeypatch):
    monkeypatch.setenv("RECSERVE_TARGET", server.target)


def failure_line(capsys) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    return captured.err


def test_recommend_prints_a_table_for_people(capsys) -> None:
    assert main(["recommend", "--user", "42"]) == 0

    captured = capsys.readouterr()
    assert captured.out.startswith("user 42, model films version 3, source user_id\n")
    assert "   1  50    4.5000  Star Wars (1977)\n" in captured.out
    assert captured.err == ""


def test_recommend_prints_one_json_object(capsys) -> None:
    assert main(["recommend", "--user", "42", "--json"]) == 0

    printed = json.loads(capsys.readouterr().out)
    assert (printed["user_id"], printed["source"]) == ("42", "user_id")
    assert [item["title"] for item in printed["items"]] == ["Star Wars (1977)", "Amélie"]


def test_a_stranger_gets_popular_items_and_a_note(server, capsys, popular_response) -> None:
    server.handle_recommend = lambda request, context: popular_response

    assert main(["recommend", "--user", "9999"]) == 0
    assert "popular items: the model does not know user 9999\n" in capsys.readouterr().out

    assert main(["recommend", "--user", "9999", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fallback_reason"] == "unknown_user"


def test_the_flags_of_recommend_reach_the_server(server) -> None:
    flags = ["-k", "3", "--model", "films", "--include-seen", "--timeout", "30"]

    assert main(["recommend", "--user", "42", *flags]) == 0

    (request,) = server.requests
    assert (request.user_id, request.k, request.model) == ("42", 3, "films")
    assert request.include_seen
    assert 2 < server.times_remaining_s[0] < 31  # gRPC rounds a deadline up on the wire


def test_the_target_flag_overrules_the_environment(server, monkeypatch) -> None:
    monkeypatch.setenv("RECSERVE_TARGET", UNREACHABLE)

    assert main(["health", "--target", server.target]) == 0


def test_models_prints_a_table_or_json(server, capsys) -> None:
    server.handle_list_models = lambda request, context: model_pb.ListModelsResponse(
        models=[model_pb.Model(name="films", version=3, state=model_pb.MODEL_STATE_SERVING)]
    )

    assert main(["models"]) == 0
    assert "films        3  serving" in capsys.readouterr().out

    assert main(["models", "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert (model["name"], model["version"], model["state"]) == ("films", 3, "serving")


def test_health_of_a_serving_server_is_success(capsys) -> None:
    assert main(["health"]) == 0
    assert capsys.readouterr().out == "server: serving\n"

    assert main(["health", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"service": "", "status": "serving"}


@pytest.mark.parametrize("service", ["", "recserve.v1.RecommendationService"])
def test_health_of_any_other_server_is_failure(server, capsys, service) -> None:
    server.set_health(service, "NOT_SERVING")

    assert main(["health", "--service", service, "--json"]) == 1

    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"service": service, "status": "not_serving"}
    assert captured.err.startswith("recserve: ")
    assert captured.err.count("\n") == 1


def test_an_unknown_service_is_failure(capsys) -> None:
    assert main(["health", "--service", "no.such.Service"]) == 1
    assert capsys.readouterr().out == "no.such.Service: service_unknown\n"


def test_an_unreachable_server_is_one_line_that_names_it(capsys) -> None:
    assert main(["recommend", "--user", "42", "--target", UNREACHABLE]) == 1

    assert failure_line(capsys).startswith(f"recserve: cannot reach {UNREACHABLE}: ")


def test_a_refusal_of_the_server_is_one_line(server, capsys) -> None:
    violation = details_pb.BadRequest.FieldViolation(field="k", description="is 501, at most 500")
    server.fail(
        grpc.StatusCode.INVALID_ARGUMENT,
        "invalid",
        details_pb.ErrorInfo(reason="INVALID_FIELDS", metadata={"request_id": "r-1"}),
        details_pb.BadRequest(field_violations=[violation]),
    )

    assert main(["recommend", "--user", "42", "-k", "501"]) == 1
    assert failure_line(capsys) == "recserve: k: is 501, at most 500 (request id r-1)\n"


def test_a_full_server_says_when_to_come_back(server, capsys) -> None:
    retry = details_pb.RetryInfo(retry_delay=Duration(nanos=500_000_000))
    server.fail(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "the queue is full",
        details_pb.ErrorInfo(reason="QUEUE_FULL"),
        retry,
    )

    assert main(["recommend", "--user", "42"]) == 1
    assert failure_line(capsys) == "recserve: the queue is full; try again in 0.5 s\n"


def test_a_late_answer_is_one_line(server, capsys) -> None:
    server.block()

    assert main(["recommend", "--user", "42", "--timeout", "0.2"]) == 1
    assert failure_line(capsys) == "recserve: no answer before the deadline\n"


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["dance"],
        ["recommend"],
        ["recommend", "--user"],
        ["recommend", "--user", "42", "-k", "ten"],
        ["recommend", "--user", "42", "-k", "0"],
        ["recommend", "--user", "42", "--filter", "genres is War"],
        ["recommend", "--user", "42", "--filter", "year range 1990"],
        ["recommend", "--user", "42", "--diversity", "much"],
        ["recommend", "--user", "42", "--cap", "genres"],
        ["recommend", "--user", "42", "--cap", "genres=1", "--cap", "genres=2"],
        ["recommend", "--user", "42", "--feature", "age"],
        ["recommend", "--user", "42", "--feature", "age=1", "--feature", "age=2"],
        ["recommend", "--user", "42", "--view", "all"],
        ["recommend", "--user", "42", "--model-version", "0"],
        ["recommend", "--exclude", "1"],
        ["similar"],
        ["similar", "50", "--user", "42"],
        ["rank", "50"],
        ["rank", "--user", "42"],
        ["rank", "--user", "42", "50", "-k", "3"],
        ["events"],
        ["events", "--user", "42", "--item", "50"],
        ["events", "--user", "42", "--item", "50", "--type", "stare"],
        ["events", "--user", "42", "--item", "50", "--type", "rating", "--rating", "good"],
        ["events", "--file", "events.jsonl", "--event-id", "e-1"],
        ["recommend", "--user", "42", "--timeout", "soon"],
        ["recommend", "--user", "42", "--timeout", "0"],
        ["health", "--target", ""],
        ["health", "--target", "http://localhost:8500"],
        ["models", "--user", "42"],
    ],
)
def test_wrong_usage_exits_with_two_and_asks_nobody(server, capsys, argv) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)

    assert caught.value.code == 2
    assert "usage: recserve" in capsys.readouterr().err
    assert server.requests == []


@pytest.mark.parametrize("command", ["recommend", "similar", "rank", "events", "models", "health"])
def test_help_gives_every_flag_with_its_default(capsys, command) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])

    text = " ".join(capsys.readouterr().out.split())
    assert caught.value.code == 0
    assert "(default: $RECSERVE_TARGET, else localhost:8500)" in text
    options = text.partition("options:")[2].partition("exit status")[0]
    flags = [word for word in options.split() if word.startswith("-") and word[1:] != "h,"]
    described = options.count("default:") + options.count("(required)") + options.count("--help")
    assert described == len(flags)


def test_version_is_that_of_the_distribution(capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])

    assert caught.value.code == 0
    assert capsys.readouterr().out == f"recserve {version('recserve-client')}\n"


def start(*argv: str, stdout: int = subprocess.PIPE, **env: str) -> subprocess.Popen:
    return subprocess.Popen(
        [*COMMAND, *argv],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=os.environ | env,
        text=True,
        encoding="utf-8",
    )


def test_an_interrupt_is_one_line_and_failure(server) -> None:
    server.block()
    with start("recommend", "--user", "42", "--timeout", "60") as process:
        assert server.arrived.wait(30)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert (process.returncode, out, err) == (1, "", "recserve: interrupted\n")


def test_a_reader_that_leaves_early_gets_no_traceback(server) -> None:
    server.block()
    with start("recommend", "--user", "42", "--timeout", "60") as process:
        assert server.arrived.wait(30)
        process.stdout.close()
        server.released.set()
        err = process.stderr.read()

    assert (process.returncode, err) == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_one_line_and_failure() -> None:
    with Path("/dev/full").open("w") as full, start("models", stdout=full.fileno()) as process:
        err = process.stderr.read()

    assert process.returncode == 1
    assert err.startswith("recserve: cannot write the result: ")
    assert err.count("\n") == 1


def test_a_title_outside_the_terminals_encoding_is_escaped() -> None:
    with start("recommend", "--user", "42", PYTHONIOENCODING="ascii") as process:
        out, err = process.communicate(timeout=30)

    assert (process.returncode, err) == (0, "")
    assert "Am\\xe9lie" in out
