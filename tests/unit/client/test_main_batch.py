"""The command line asked for several users."""

import json

import grpc
import pytest
from google.rpc import error_details_pb2 as details_pb

from recserve.v1 import recommendation_service_pb2 as recommendation_pb
from recserve_client.__main__ import main


@pytest.fixture(autouse=True)
def _environ(server, monkeypatch):
    monkeypatch.setenv("RECSERVE_TARGET", server.target)


def test_a_single_user_is_asked_for_with_recommend(server) -> None:
    assert main(["recommend", "--user", "42"]) == 0

    assert server.requests == [recommendation_pb.RecommendRequest(user_id="42", k=10)]


def test_repeated_users_are_asked_for_in_one_batch_with_the_same_flags(server) -> None:
    flags = ["-k", "3", "--model", "films", "--include-seen", "--timeout", "30"]

    assert main(["recommend", "--user", "42", *flags, "--user", "7"]) == 0

    (batch,) = server.requests
    assert list(batch.requests) == [
        recommendation_pb.RecommendRequest(user_id=user, k=3, model="films", include_seen=True)
        for user in ("42", "7")
    ]
    assert 2 < server.times_remaining_s[0] < 31  # gRPC rounds a deadline up on the wire


def test_repeated_users_get_one_block_each_in_order(capsys) -> None:
    assert main(["recommend", "--user", "42"]) == 0
    block = capsys.readouterr().out

    assert main(["recommend", "--user", "42", "--user", "7"]) == 0
    assert capsys.readouterr().out == f"{block}\n{block.replace('user 42', 'user 7')}"


def test_repeated_users_get_a_json_array_in_order(capsys) -> None:
    assert main(["recommend", "--user", "42", "--json"]) == 0
    alone = json.loads(capsys.readouterr().out)

    assert main(["recommend", "--user", "42", "--user", "7", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [alone, alone | {"user_id": "7"}]


def test_a_refused_batch_prints_no_answer_and_says_whose_request_it_was(server, capsys) -> None:
    violation = details_pb.BadRequest.FieldViolation(
        field="requests[1].user_id", description="is empty, must have 1 to 128 bytes"
    )
    details = details_pb.BadRequest(field_violations=[violation])
    server.fail(grpc.StatusCode.INVALID_ARGUMENT, "invalid", details)

    assert main(["recommend", "--user", "42", "--user", ""]) == 1
    assert capsys.readouterr() == (
        "",
        "recserve: requests[1].user_id: is empty, must have 1 to 128 bytes\n",
    )


def test_a_batch_with_an_answer_missing_is_one_line(server, capsys) -> None:
    server.handle_batch_recommend = lambda request, context: (
        recommendation_pb.BatchRecommendResponse()
    )

    assert main(["recommend", "--user", "42", "--user", "7"]) == 1
    assert capsys.readouterr() == (
        "",
        "recserve: the server gave 0 answers for 2 users, must be one each\n",
    )
