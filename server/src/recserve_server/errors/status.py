"""The one way from a refusal to gRPC."""

from google.protobuf import any_pb2, message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from recserve_server.errors.base import ServingError


def to_status(error: ServingError, *, domain: str, request_id: str) -> status_pb2.Status:
    """Returns the google.rpc.Status that tells `error` to a caller of service `domain`."""
    metadata = dict(error.metadata)
    text = str(error)
    if error.code == code_pb2.INTERNAL:
        metadata["request_id"] = request_id
        text = f"{text} (request {request_id})"
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=domain, metadata=metadata)
    return status_pb2.Status(
        code=error.code, message=text, details=[_pack(info), *map(_pack, error.details)]
    )


def _pack(detail: message.Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
