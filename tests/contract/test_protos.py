"""The contracts: what is on the wire and on disk stays what it was."""

import re
from pathlib import Path

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FileDescriptor

from recserve.artifact.v1 import manifest_pb2
from recserve.v1 import model_service_pb2, recommendation_service_pb2

FILES = [
    manifest_pb2.DESCRIPTOR,
    model_service_pb2.DESCRIPTOR,
    recommendation_service_pb2.DESCRIPTOR,
]
PROTOS = Path(__file__).parents[2] / "protos"


def test_a_request_has_the_bytes_it_always_had() -> None:
    request = recommendation_service_pb2.RecommendRequest(
        user_id="42", k=10, model="films", include_seen=True
    )

    assert request.SerializeToString(deterministic=True).hex() == "0a023432200a2a0566696c6d733001"


def test_a_response_has_the_bytes_it_always_had() -> None:
    response = recommendation_service_pb2.RecommendResponse(
        items=[recommendation_service_pb2.ScoredItem(item_id="50", score=1.5, title="Star Wars")],
        source=recommendation_service_pb2.RECOMMENDATION_SOURCE_POPULARITY,
        fallback_reason=recommendation_service_pb2.FALLBACK_REASON_UNKNOWN_USER,
        model_name="films",
        model_version=3,
    )

    assert response.SerializeToString(deterministic=True).hex() == (
        "0a140a023530150000c03f1a0953746172205761727310041801220566696c6d732803"
    )


def test_a_batch_wraps_its_requests_and_its_responses_as_they_are() -> None:
    requests = [recommendation_service_pb2.RecommendRequest(user_id=user) for user in ("42", "7")]
    responses = [recommendation_service_pb2.RecommendResponse(model_version=3)]

    request = recommendation_service_pb2.BatchRecommendRequest(requests=requests)
    response = recommendation_service_pb2.BatchRecommendResponse(responses=responses)

    assert request.SerializeToString(deterministic=True).hex() == "0a040a0234320a030a0137"
    assert response.SerializeToString(deterministic=True).hex() == "0a022803"


def test_a_manifest_survives_the_way_through_its_file() -> None:
    manifest = manifest_pb2.Manifest(
        format_version=1,
        model_name="films",
        model_version=2**40,
        files=[manifest_pb2.File(path="a/b", size_bytes=2**40, sha256="00")],
        evaluations=[manifest_pb2.Evaluation(scorer="model", metrics={"ndcg@10": 0.1})],
    )
    manifest.create_time.FromSeconds(1)

    written = json_format.MessageToJson(manifest, preserving_proto_field_name=True)

    assert json_format.Parse(written, manifest_pb2.Manifest()) == manifest
    assert '"model_version": "1099511627776"' in written


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_stubs_stand_where_their_protos_do(file: FileDescriptor) -> None:
    source = (PROTOS / file.name).read_text()

    assert re.search(r"^package (.*);$", source, re.MULTILINE)[1] == file.package
    assert file.package.replace(".", "/") == file.name.rpartition("/")[0]
