import pickle

import pytest
from google.protobuf import message
from google.rpc import code_pb2, error_details_pb2

from recserve_server.errors import (
    ExpiredInQueue,
    FieldViolation,
    InvalidRequest,
    MalformedMessage,
    ModelFailed,
    NotInModel,
    NotPersonal,
    NotReady,
    QueueFull,
    ServingError,
    Unexpected,
    UnknownItems,
    UnknownModel,
    VersionRetired,
    to_status,
)

DOMAIN = "recserve.v1.RecommendationService"
ROWS = [
    (InvalidRequest([FieldViolation("k", "is -1")]), code_pb2.INVALID_ARGUMENT, "INVALID_FIELDS"),
    (MalformedMessage("/s/m"), code_pb2.INVALID_ARGUMENT, "MALFORMED_MESSAGE"),
    (UnknownModel("films"), code_pb2.NOT_FOUND, "MODEL_UNKNOWN"),
    (UnknownModel("films", 3), code_pb2.NOT_FOUND, "MODEL_UNKNOWN"),
    (VersionRetired("films", 1, 2), code_pb2.NOT_FOUND, "VERSION_RETIRED"),
    (NotPersonal("unknown_user"), code_pb2.NOT_FOUND, "NOT_PERSONAL"),
    (UnknownItems(["i1", "i2"]), code_pb2.NOT_FOUND, "ITEM_UNKNOWN"),
    (NotInModel("explain"), code_pb2.FAILED_PRECONDITION, "NOT_IN_MODEL"),
    (QueueFull(1024, 0.25), code_pb2.RESOURCE_EXHAUSTED, "QUEUE_FULL"),
    (NotReady("starting"), code_pb2.UNAVAILABLE, "NOT_READY"),
    (ExpiredInQueue(0.01), code_pb2.DEADLINE_EXCEEDED, "EXPIRED_IN_QUEUE"),
    (ModelFailed(), code_pb2.INTERNAL, "MODEL_FAILED"),
    (Unexpected(), code_pb2.INTERNAL, "UNEXPECTED"),
]


def details_of(error: ServingError, kind: type[message.Message]) -> list[message.Message]:
    found = []
    for packed in to_status(error, domain=DOMAIN, request_id="r1").details:
        unpacked = kind()
        if packed.Unpack(unpacked):
            found.append(unpacked)
    return found


@pytest.mark.parametrize(("error", "code", "reason"), ROWS)
def test_each_error_has_its_code_and_exactly_one_reason(
    error: ServingError, code: int, reason: str
) -> None:
    status = to_status(error, domain=DOMAIN, request_id="r1")
    [info] = details_of(error, error_details_pb2.ErrorInfo)

    assert status.code == code
    assert (info.reason, info.domain) == (reason, DOMAIN)


@pytest.mark.parametrize(("error", "code", "reason"), ROWS)
def test_every_changing_part_of_the_text_is_also_metadata(
    error: ServingError, code: int, reason: str
) -> None:
    [info] = details_of(error, error_details_pb2.ErrorInfo)
    text = to_status(error, domain=DOMAIN, request_id="r1").message

    assert all(value in text for value in info.metadata.values())


def test_violations_travel_as_a_bad_request() -> None:
    error = InvalidRequest([FieldViolation("k", "is -1"), FieldViolation("user_id", "is empty")])

    [bad_request] = details_of(error, error_details_pb2.BadRequest)

    told = [(each.field, each.description) for each in bad_request.field_violations]
    assert told == [("k", "is -1"), ("user_id", "is empty")]


@pytest.mark.parametrize("error", [QueueFull(8, 0.25), NotReady("starting", 0.25)])
def test_what_may_be_retried_says_when(error: ServingError) -> None:
    [retry] = details_of(error, error_details_pb2.RetryInfo)

    assert retry.retry_delay.ToTimedelta().total_seconds() == 0.25


@pytest.mark.parametrize("error", [ModelFailed(), Unexpected()])
def test_an_internal_error_gives_the_request_id_and_no_cause(error: ServingError) -> None:
    [info] = details_of(error, error_details_pb2.ErrorInfo)

    assert dict(info.metadata) == {"request_id": "r1"}


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest([FieldViolation("k", "is -1")]),
        ModelFailed(),
        NotInModel("explain"),
        NotPersonal("unknown_user"),
        NotReady("starting"),
        QueueFull(8, 0.5),
        UnknownItems(["i1"]),
        VersionRetired("films", 1, 2),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_refusal_survives_the_way_out_of_the_model_process(error: ServingError) -> None:
    arrived = pickle.loads(pickle.dumps(error))

    assert type(arrived) is type(error)
    assert to_status(arrived, domain="d", request_id="r") == to_status(
        error, domain="d", request_id="r"
    )
