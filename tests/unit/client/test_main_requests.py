"""The command line's flags for who asks and for what, and the commands on items."""

import json

import grpc
import pytest
from google.rpc import error_details_pb2 as details_pb

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_client.__main__ import main


@pytest.fixture(autouse=True)
def _environ(server, monkeypatch):
    monkeypatch.setenv("RECSERVE_TARGET", server.target)


@pytest.mark.parametrize(
    ("flags", "fields"),
    [
        (["--history", "1,50=4.5", "--history", "172"],
         {"history": [{"item_id": "1"}, {"item_id": "50", "rating": 4.5}, {"item_id": "172"}]}),
        (["--user", "42", "--feature", "age=25", "--feature", "job=poet"],
         {"user_id": "42",
          "features": [{"name": "age", "number": 25}, {"name": "job", "text": "poet"}]}),
        (["--user", "42", "--exclude", "1,2", "--exclude", '"3,4"'],
         {"user_id": "42", "excluded_item_ids": ["1", "2", "3,4"]}),
        (["--user", "42", "--only", "5,6"], {"user_id": "42", "allowed_item_ids": ["5", "6"]}),
        (["--user", "42", "--filter", "genres any War,Drama", "--filter", "year range ..1999"],
         {"user_id": "42",
          "filters": [{"attribute": "genres", "any": {"values": ["War", "Drama"]}},
                      {"attribute": "year", "range": {"max": 1999}}]}),
        (["--user", "42", "--diversity", "0.25"],
         {"user_id": "42", "diversity": {"lambda": 0.25}}),
        (["--user", "42", "--diversity", "0"], {"user_id": "42", "diversity": {}}),
        (["--user", "42", "--cap", "genres=3"],
         {"user_id": "42",
          "diversity": {"caps": [{"attribute": "genres", "max_count": 3}]}}),
        (["--user", "42", "--strict", "--explain", "--view", "full", "--model-version", "7"],
         {"user_id": "42", "strict": True, "explain": True, "view": pb.ITEM_VIEW_FULL,
          "model_version": 7}),
        (["--user", "42", "--model", "films", "--model-label", "canary"],
         {"user_id": "42", "model": "films", "model_label": "canary"}),
    ],
)  # fmt: skip
def test_flags_of_recommend_become_fields(server, flags, fields) -> None:
    assert main(["recommend", *flags]) == 0

    assert server.requests == [pb.RecommendRequest(k=10, **fields)]


@pytest.mark.parametrize("command", [["similar", "50"], ["rank", "--user", "42", "50"]])
def test_other_questions_take_a_label_too(server, command) -> None:
    assert main([*command, "--model-label", "stable"]) == 0

    assert [request.model_label for request in server.requests] == ["stable"]


def test_a_label_beside_a_version_is_wrong_usage(capsys) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["recommend", "--user", "42", "--model-version", "7", "--model-label", "canary"])

    assert caught.value.code == 2
    assert "--model-label: not allowed with argument --model-version" in capsys.readouterr().err


def test_the_flags_hold_for_all_users_of_a_batch(server) -> None:
    assert main(["recommend", "--user", "42", "--user", "7", "--filter", "genres none War"]) == 0

    (batch,) = server.requests
    filters = [{"attribute": "genres", "none": {"values": ["War"]}}]
    assert list(batch.requests) == [
        pb.RecommendRequest(user_id=user, k=10, filters=filters) for user in ("42", "7")
    ]


def test_a_wrong_filter_is_told_with_what_was_seen_and_what_is_allowed(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["recommend", "--user", "42", "--filter", "genres is War"])

    assert capsys.readouterr().err.endswith(
        "error: argument --filter: is 'genres is War', must be "
        "'ATTRIBUTE any|all|none VALUE,...' or 'ATTRIBUTE range MIN..MAX'\n"
    )


def test_reasons_stand_below_their_items(server, capsys) -> None:
    server.handle_recommend = lambda request, context: pb.RecommendResponse(
        items=[
            pb.ScoredItem(
                item_id="50",
                score=4.5,
                title="Star Wars",
                explanation={
                    "contributions": [{"item_id": "1", "title": "Alien", "score": 0.314}],
                    "is_exact": True,
                },
            )
        ],
        source=pb.RECOMMENDATION_SOURCE_HISTORY,
        model_name="films",
        model_version=3,
    )

    assert main(["recommend", "--history", "1", "--explain"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "      because of: Alien (+0.31)"

    assert main(["recommend", "--history", "1", "--explain", "--json"]) == 0
    (item,) = json.loads(capsys.readouterr().out)["items"]
    assert item["explanation"]["contributions"][0]["title"] == "Alien"


def test_similar_prints_a_table_or_json(server, capsys) -> None:
    flags = ["-k", "3", "--filter", "year range 1990..", "--exclude", "1", "--view", "full"]

    assert main(["similar", "50", "a,b", *flags]) == 0
    assert "   1  172   0.7500  Amélie\n" in capsys.readouterr().out
    assert server.requests == [
        pb.FindSimilarItemsRequest(
            item_ids=["50", "a,b"],
            k=3,
            filters=[{"attribute": "year", "range": {"min": 1990}}],
            excluded_item_ids=["1"],
            view=pb.ITEM_VIEW_FULL,
        )
    ]

    assert main(["similar", "50", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["item_ids"] == ["50"]


def test_rank_prints_a_table_or_json(server, capsys) -> None:
    assert main(["rank", "--user", "42", "--history", "1", "172", "50", "--strict"]) == 0
    assert "   1  172   2.5000  Amélie\n" in capsys.readouterr().out
    assert server.requests == [
        pb.RankItemsRequest(
            user_id="42", history=[{"item_id": "1"}], item_ids=["172", "50"], strict=True
        )
    ]

    assert main(["rank", "--user", "42", "172", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["source"] == "user_id"


def test_a_refusal_of_strict_is_one_line(server, capsys) -> None:
    server.fail(
        grpc.StatusCode.NOT_FOUND,
        "there is no personal ranking, the reason is UNKNOWN_USER",
        details_pb.ErrorInfo(reason="NOT_PERSONAL"),
    )

    assert main(["recommend", "--user", "42", "--strict"]) == 1
    assert capsys.readouterr() == (
        "",
        "recserve: there is no personal ranking, the reason is UNKNOWN_USER\n",
    )
