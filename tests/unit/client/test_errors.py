import pickle

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2 as details_pb

from recserve_client import (
    ChannelConfig,
    DeadlineExceededError,
    InvalidRequestError,
    ModelRetiredError,
    NotFoundError,
    NotPersonalError,
    OverloadedError,
    PermissionDeniedError,
    RecommenderError,
    ServerError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
)
from recserve_client._errors import FieldViolation, from_rpc_error

Code = grpc.StatusCode
NO_RETRIES = {"config": ChannelConfig(max_attempts=1), "timeout_s": 30.0}


def info(reason: str, **metadata: str) -> details_pb.ErrorInfo:
    return details_pb.ErrorInfo(reason=reason, domain="recserve.v1", metadata=metadata)


def retry_in(delay_s: float) -> details_pb.RetryInfo:
    delay = Duration()
    delay.FromMilliseconds(round(delay_s * 1000))
    return details_pb.RetryInfo(retry_delay=delay)


INVALID = info("INVALID_FIELDS")
FULL = info("QUEUE_FULL")
EXPIRED = info("EXPIRED_IN_QUEUE")


def caught_by(ask, **kwargs) -> RecommenderError:
    with pytest.raises(RecommenderError) as caught:
        ask("recommend", "42", client_options=NO_RETRIES, **kwargs)
    return caught.value


@pytest.mark.parametrize(
    ("code", "expected", "details", "reason", "retry_after_s"),
    [
        (Code.INVALID_ARGUMENT, InvalidRequestError, [], "", None),
        (Code.INVALID_ARGUMENT, InvalidRequestError, [INVALID], "INVALID_FIELDS", None),
        (Code.NOT_FOUND, NotFoundError, [info("MODEL_UNKNOWN", name="x")], "MODEL_UNKNOWN", None),
        (Code.NOT_FOUND, NotFoundError, [info("ITEM_UNKNOWN")], "ITEM_UNKNOWN", None),
        (Code.NOT_FOUND, NotFoundError, [info("LABEL_UNKNOWN")], "LABEL_UNKNOWN", None),
        (Code.NOT_FOUND, NotPersonalError, [info("NOT_PERSONAL")], "NOT_PERSONAL", None),
        (Code.NOT_FOUND, ModelRetiredError, [info("VERSION_RETIRED")], "VERSION_RETIRED", None),
        (Code.FAILED_PRECONDITION, UnsupportedError, [info("NOT_IN_MODEL")], "NOT_IN_MODEL", None),
        (Code.FAILED_PRECONDITION, UnsupportedError, [], "", None),
        # A reason does not overrule the code.
        (Code.INTERNAL, ServerError, [info("VERSION_RETIRED")], "VERSION_RETIRED", None),
        (Code.RESOURCE_EXHAUSTED, OverloadedError, [FULL, retry_in(0.25)], "QUEUE_FULL", 0.25),
        (Code.RESOURCE_EXHAUSTED, OverloadedError, [retry_in(2), FULL], "QUEUE_FULL", 2.0),
        (Code.RESOURCE_EXHAUSTED, OverloadedError, [details_pb.RetryInfo()], "", None),
        (Code.RESOURCE_EXHAUSTED, OverloadedError, [retry_in(-5)], "", 0.0),
        (Code.DEADLINE_EXCEEDED, DeadlineExceededError, [EXPIRED], "EXPIRED_IN_QUEUE", None),
        (Code.UNAVAILABLE, UnavailableError, [info("NOT_READY"), retry_in(1)], "NOT_READY", 1.0),
        (Code.UNAVAILABLE, UnavailableError, [], "", None),
        (Code.INTERNAL, ServerError, [info("MODEL_FAILED")], "MODEL_FAILED", None),
        (Code.UNKNOWN, ServerError, [], "", None),
        (Code.DATA_LOSS, ServerError, [], "", None),
        (Code.UNIMPLEMENTED, UnsupportedError, [], "", None),
        (Code.PERMISSION_DENIED, PermissionDeniedError, [details_pb.Help()], "", None),
        (Code.UNAUTHENTICATED, UnauthenticatedError, [], "", None),
        (Code.ABORTED, RecommenderError, [], "", None),
        (Code.CANCELLED, UnavailableError, [], "", None),
    ],
)  # fmt: skip
def test_a_status_becomes_the_exception_that_tells_what_to_do(
    server, ask, code, expected, details, reason, retry_after_s
) -> None:
    server.fail(code, "what went wrong", *details)

    error = caught_by(ask)

    assert type(error) is expected
    assert (error.reason, error.retry_after_s) == (reason, retry_after_s)
    assert isinstance(error.__cause__, grpc.RpcError)
    assert error.__cause__.code() is code


@pytest.mark.parametrize(
    ("error_class", "builtin"),
    [
        (InvalidRequestError, ValueError),
        (DeadlineExceededError, TimeoutError),
        (UnavailableError, ConnectionError),
    ],
)
def test_an_exception_is_also_the_builtin_that_code_already_catches(error_class, builtin) -> None:
    assert issubclass(error_class, RecommenderError)
    assert issubclass(error_class, builtin)


def test_all_violations_are_kept_and_read_as_one_line(server, ask) -> None:
    violations = [
        details_pb.BadRequest.FieldViolation(field="user_id", description="is empty"),
        details_pb.BadRequest.FieldViolation(field="k", description="is 501,\n must be 1 to 500"),
    ]
    server.fail(
        Code.INVALID_ARGUMENT,
        "invalid request",
        info("INVALID_FIELDS"),
        details_pb.BadRequest(field_violations=violations),
    )

    error = caught_by(ask)

    assert isinstance(error, InvalidRequestError)
    assert error.violations == (
        FieldViolation("user_id", "is empty"),
        FieldViolation("k", "is 501,\n must be 1 to 500"),
    )
    assert str(error) == "user_id: is empty; k: is 501, must be 1 to 500"


def test_the_message_is_the_servers_in_one_line(server, ask) -> None:
    server.fail(Code.NOT_FOUND, "no model 'x',\n  only 'films'", info("MODEL_UNKNOWN"))

    assert str(caught_by(ask)) == "no model 'x', only 'films'"


def test_a_status_without_text_is_still_readable(server, ask) -> None:
    server.fail(Code.PERMISSION_DENIED)

    assert str(caught_by(ask)) == "the call failed without a message: permission denied"


def test_an_answer_too_late_says_so_but_keeps_the_words_of_the_server(server, ask) -> None:
    server.fail(Code.DEADLINE_EXCEEDED, "Deadline Exceeded")
    assert str(caught_by(ask)) == "no answer before the deadline"

    server.fail(
        Code.DEADLINE_EXCEEDED, "expired after 30 ms in the queue", info("EXPIRED_IN_QUEUE")
    )
    assert str(caught_by(ask)) == "expired after 30 ms in the queue"


@pytest.mark.parametrize(
    "failure",
    [
        {"details": [info("MODEL_FAILED", request_id="r-1")]},
        {"trailing": (("x-request-id", "r-1"),)},
        {"initial": (("x-request-id", "r-1"),)},
        {"initial": (("x-request-id", "r-0"),), "trailing": (("x-request-id", "r-1"),)},
    ],
    ids=["details", "trailing", "initial", "trailing wins"],
)
def test_the_request_id_is_found_wherever_the_server_put_it(server, ask, failure) -> None:
    server.fail(
        Code.INTERNAL,
        "failed",
        *failure.get("details", ()),
        trailing=failure.get("trailing", ()),
        initial=failure.get("initial", ()),
    )

    assert caught_by(ask).request_id == "r-1"


@pytest.mark.parametrize(
    "header",
    [
        b"\xff\xff\xff\xff",
        b"",
        b"not protobuf at all",
        # A valid Status whose ErrorInfo holds garbage.
        b"\x1a\x33\x0a\x28type.googleapis.com/google.rpc.ErrorInfo\x00\x12\x07\xff\xff\xff\xff\xff\xff\xff",
        b"\x1a\x31\x0a\x28type.googleapis.com/google.rpc.ErrorInfo\x12\x05\x0a\xff\xff\xff\xff",
    ],
)
def test_garbage_in_the_details_header_does_not_hide_the_error(server, ask, header) -> None:
    server.fail(Code.INTERNAL, "failed", trailing=(("grpc-status-details-bin", header),))

    error = caught_by(ask)

    assert type(error) is ServerError
    assert (str(error), error.reason, error.retry_after_s) == ("failed", "", None)


def test_a_bare_rpc_error_converts() -> None:
    error = from_rpc_error(grpc.RpcError())

    assert type(error) is RecommenderError
    assert str(error) == "the call failed without a message: no status"


def test_an_asyncio_error_without_metadata_converts() -> None:
    error = from_rpc_error(grpc.aio.AioRpcError(Code.UNAVAILABLE, None, None, details="gone"))

    assert type(error) is UnavailableError
    assert str(error) == "gone"


@pytest.mark.parametrize(
    "error_class",
    [
        DeadlineExceededError,
        InvalidRequestError,
        ModelRetiredError,
        NotFoundError,
        NotPersonalError,
        OverloadedError,
        RecommenderError,
        ServerError,
        UnavailableError,
        UnsupportedError,
    ],
)
def test_exceptions_survive_a_process_boundary(error_class) -> None:
    error = error_class("full", reason="QUEUE_FULL", retry_after_s=0.5, request_id="r-1")

    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is error_class
    assert str(copy) == "full"
    assert (copy.reason, copy.retry_after_s, copy.request_id) == ("QUEUE_FULL", 0.5, "r-1")
