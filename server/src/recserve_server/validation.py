"""Checks requests and turns them into queries; pure. Limits are those of the proto comments."""

import base64
import binascii
import re
from typing import Final

from recserve.v1 import model_service_pb2, recommendation_service_pb2
from recserve_server.config import Limits
from recserve_server.errors import FieldViolation, InvalidRequest
from recserve_server.model import Query

_DEFAULT_PAGE_SIZE = 50
_MAX_PAGE_SIZE = 1000
_MOST_TOLD = 16
# All of Unicode's category Cc.
_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def parse_recommend(request: recommendation_service_pb2.RecommendRequest, limits: Limits) -> Query:
    """Returns the query that a valid request asks.

    Raises:
        InvalidRequest: with every violation.
    """
    violations = _recommend_violations(request, limits)
    if violations:
        raise InvalidRequest(violations)
    return Query(request.user_id, request.k or limits.default_k, request.include_seen)


def parse_batch_recommend(
    request: recommendation_service_pb2.BatchRecommendRequest, limits: Limits
) -> list[Query]:
    """Returns the queries that a valid batch of requests asks, in order.

    Raises:
        InvalidRequest: with the first 16 violations, each with the place of its request: one
            mistake may be in every request, and a status must fit into 8 KiB of trailers.
    """
    count = len(request.requests)
    if not 1 <= count <= limits.max_batch_requests:
        raise InvalidRequest(
            [FieldViolation("requests", f"are {count}, must be 1 to {limits.max_batch_requests}")]
        )
    violations = [
        FieldViolation(f"requests[{place}].{each.field}", each.description)
        for place, one in enumerate(request.requests)
        for each in _recommend_violations(one, limits)
    ]
    if len(violations) > _MOST_TOLD:
        more = len(violations) - _MOST_TOLD
        violations[_MOST_TOLD:] = [FieldViolation("requests", f"have {more} more violations")]
    if violations:
        raise InvalidRequest(violations)
    return [
        Query(one.user_id, one.k or limits.default_k, one.include_seen) for one in request.requests
    ]


def parse_get_model(request: model_service_pb2.GetModelRequest, limits: Limits) -> tuple[str, int]:
    """Returns name and version; "" and 0 mean what is serving.

    Raises:
        InvalidRequest: with every violation.
    """
    violations = _text_violations("name", request.name, limits, may_be_empty=True)
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


def _recommend_violations(
    request: recommendation_service_pb2.RecommendRequest, limits: Limits
) -> list[FieldViolation]:
    violations = []
    if request.WhichOneof("query") is None:
        violations.append(FieldViolation("user_id", "is missing, must be given"))
    else:
        violations += _text_violations("user_id", request.user_id, limits, may_be_empty=False)
    violations += _text_violations("model", request.model, limits, may_be_empty=True)
    if not 0 <= request.k <= limits.max_k:
        violations.append(
            FieldViolation(
                "k",
                f"is {request.k}, must be from 1 to {limits.max_k}, or 0 for {limits.default_k}",
            )
        )
    return violations


def _text_violations(
    field: str, text: str, limits: Limits, *, may_be_empty: bool
) -> list[FieldViolation]:
    size = len(text.encode())
    if not text:
        return [] if may_be_empty else [FieldViolation(field, "is empty, must be given")]
    if size > limits.max_id_bytes:
        return [FieldViolation(field, f"has {size} bytes, must have at most {limits.max_id_bytes}")]
    control = _CONTROL_CHARACTER.search(text)
    if control:
        return [
            FieldViolation(
                field,
                f"has the control character U+{ord(control[0]):04X} at position {control.start()}, "
                "must have none",
            )
        ]
    return []
