"""Requests to ModelService."""

import base64
import binascii

from recserve.v1 import model_service_pb2
from recserve_server.config import Limits
from recserve_server.errors import FieldViolation, InvalidRequest
from recserve_server.validation.fields import text_violations

_DEFAULT_PAGE_SIZE = 50
_MAX_PAGE_SIZE = 1000


def parse_get_model(request: model_service_pb2.GetModelRequest, limits: Limits) -> tuple[str, int]:
    """Returns name and version; "" and 0 mean what is serving.

    Raises:
        InvalidRequest: with every violation.
    """
    violations = text_violations("name", request.name, limits, may_be_empty=True)
    if request.version < 0:
        violations.append(
            FieldViolation("version", f"is {request.version}, must be 1 or more, or 0")
        )
    if violations:
        raise InvalidRequest(violations)
    return request.name, request.version


def parse_list_models(
    request: model_service_pb2.ListModelsRequest,
) -> tuple[int, tuple[str, int] | None]:
    """Returns the page size and, unless on the first page, (name, version) to continue after.

    Raises:
        InvalidRequest: with every violation.
    """
    violations = []
    if request.page_size < 0:
        violations.append(FieldViolation("page_size", f"is {request.page_size}, must be 0 or more"))
    after = None
    if request.page_token:
        try:
            after = decode_page_token(request.page_token)
        except ValueError:
            violations.append(FieldViolation("page_token", "is not one that this server gave"))
    if violations:
        raise InvalidRequest(violations)
    return min(request.page_size or _DEFAULT_PAGE_SIZE, _MAX_PAGE_SIZE), after


def encode_page_token(name: str, version: int) -> str:
    """Returns the opaque token that continues after this model version."""
    return base64.urlsafe_b64encode(f"{version}/{name}".encode()).decode()


def decode_page_token(token: str) -> tuple[str, int]:
    """Reverses `encode_page_token`.

    Raises:
        ValueError: the token is none of ours.
    """
    try:
        version, separator, name = (
            base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode().partition("/")
        )
    except (binascii.Error, UnicodeError) as error:
        raise ValueError("not a page token") from error
    if not (separator and name and version.isascii() and version.isdecimal()):
        raise ValueError("not a page token")
    return name, int(version)
