"""What a refusal has to look like, whoever asked for it."""

import string
from urllib.parse import quote

import grpc
from google.rpc import error_details_pb2, status_pb2

ALLOWED = {
    grpc.StatusCode.INVALID_ARGUMENT: {"INVALID_FIELDS", "MALFORMED_MESSAGE"},
    grpc.StatusCode.NOT_FOUND: {
        "MODEL_UNKNOWN",
        "VERSION_RETIRED",
        "NOT_PERSONAL",
        "ITEM_UNKNOWN",
    },
    grpc.StatusCode.FAILED_PRECONDITION: {"EVENTS_DISABLED", "NOT_IN_MODEL"},
}
"""Reasons by status that the fault of a request may have."""
MOST_TRAILER_BYTES = 8192
"""Beyond it gRPC's clients give up the status at random (grpc.max_metadata_size)."""


def check_refusal(error: grpc.RpcError) -> str:
    """Checks that a refusal is one of ours, whole, and short; returns its reason."""
    code, trailers = error.code(), error.trailing_metadata() or ()
    assert code in ALLOWED, f"{code} {error.details()}"
    encoded = dict(trailers)["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(encoded)
    assert (status.code, status.message) == (code.value[0], error.details())
    found = [each for each in status.details if each.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)]
    assert len(found) == 1
    info = error_details_pb2.ErrorInfo.FromString(found[0].value)
    assert info.reason in ALLOWED[code]
    assert info.domain.startswith("recserve.v1.")
    assert trailer_bytes(error) <= MOST_TRAILER_BYTES
    return info.reason


def trailer_bytes(error: grpc.RpcError) -> int:
    """Returns what gRPC counts: names, values as they are sent, and 32 bytes for each pair."""
    trailers = [*(error.trailing_metadata() or ()), ("grpc-message", error.details() or "")]
    return sum(32 + len(name) + len(_as_sent(value)) for name, value in trailers)


def _as_sent(value: str | bytes) -> bytes:
    # gRPC sends a status's text with "%XX" for all but printable ASCII.
    return value if isinstance(value, bytes) else quote(value, safe=string.printable).encode()
