import grpc
import pytest

from recserve.v1 import recommendation_service_pb2 as pb
from recserve.v1.recommendation_service_pb2_grpc import RecommendationServiceStub
from recserve_client import InvalidRequestError, NotFoundError


@pytest.mark.parametrize(
    ("method", "subject"), [("recommend", "ann"), ("find_similar_items", "et")]
)
def test_the_one_version_is_stable(ask, method, subject) -> None:
    assert ask(method, subject, model_label="stable").model_version == 1


def test_the_model_tells_its_label(client) -> None:
    [model] = client.list_models()

    assert (model.labels, model.canary_percent, model.golden_overlap) == (("stable",), 0.0, None)


@pytest.mark.parametrize(
    ("method", "subject"),
    [("recommend", "ann"), ("recommend_batch", ["ann"]), ("find_similar_items", "et")],
)
def test_there_is_no_canary(ask, method, subject) -> None:
    with pytest.raises(NotFoundError, match="no version of model 'films' is labelled") as caught:
        ask(method, subject, model_label="canary")

    assert type(caught.value) is NotFoundError
    assert caught.value.reason == "LABEL_UNKNOWN"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"model_label": "beta"}, "is 'beta', must be stable or canary"),
        (
            {"model_label": "stable", "model_version": 1},
            "is given with model_version, must be given alone",
        ),
    ],
)
def test_a_label_that_cannot_be_is_a_violation(client, options, text) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        client.recommend("ann", **options)

    [violation] = caught.value.violations
    assert (violation.field, violation.description) == ("model_label", text)


def test_a_wrong_priority_is_a_violation(server) -> None:
    with grpc.insecure_channel(server.target) as channel, pytest.raises(grpc.RpcError) as caught:
        RecommendationServiceStub(channel).Recommend(
            pb.RecommendRequest(user_id="ann"), metadata=(("x-recserve-priority", "urgent"),)
        )

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == (
        "x-recserve-priority is 'urgent', must be interactive or batch"
    )
