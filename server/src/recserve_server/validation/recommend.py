"""Requests for the catalogue in order."""

import dataclasses
from collections.abc import Callable
from typing import Final

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_server.config import Limits
from recserve_server.errors import FieldViolation, InvalidRequest
from recserve_server.query import Diversity, Options, Query, Schema, Telling
from recserve_server.validation.fields import (
    address_violations,
    count_violations,
    k_violations,
    refuse_any,
    repeats_violations,
)
from recserve_server.validation.selection import (
    selection_of,
    selection_violations,
    text_attribute_violations,
)
from recserve_server.validation.users import features_of, history_of, user_violations

_NO_OPTIONS: Final = Options()
_SHORT: Final = 127
"""The longest text whose length takes one byte."""


def parse_recommend(request: pb.RecommendRequest, limits: Limits, schema: Schema) -> Query:
    """Returns the query that a valid request asks.

    Raises:
        InvalidRequest: with every violation, the first 16 if there are more.
    """
    query = _plain_query(request, limits)
    if query is None:
        refuse_any(_violations(request, limits, schema), "request")
        query = _query(request, limits)
    return query


def parse_batch_recommend(
    request: pb.BatchRecommendRequest,
    limits: Limits,
    schema_of: Callable[[pb.RecommendRequest], Schema],
) -> list[Query]:
    """Returns the queries that a valid batch of requests asks, in order.

    Args:
        request: the batch.
        limits: what may be asked for.
        schema_of: what one of its requests may name.

    Raises:
        InvalidRequest: with the first 16 violations, each with the place of its request.
    """
    count = len(request.requests)
    if not 1 <= count <= limits.max_batch_requests:
        raise InvalidRequest(
            [FieldViolation("requests", f"are {count}, must be 1 to {limits.max_batch_requests}")]
        )
    queries = [_plain_query(one, limits) for one in request.requests]
    violations = [
        dataclasses.replace(each, field=f"requests[{place}].{each.field}")
        for place, one in enumerate(request.requests)
        if queries[place] is None
        for each in _violations(one, limits, schema_of(one))
    ]
    refuse_any(violations, "requests")
    return [
        _query(one, limits) if query is None else query
        for one, query in zip(request.requests, queries, strict=True)
    ]


def _plain_query(request: pb.RecommendRequest, limits: Limits) -> Query | None:
    """Returns the query of a request that obviously has nothing but a user id, k and include_seen.

    Most requests are such, and looking at every field takes three times as long. Whatever else is
    set makes the message longer than these three fields do.
    """
    user_id, k, include_seen = request.user_id, request.k, request.include_seen
    if not (0 < len(user_id) <= _SHORT and user_id.isascii() and user_id.isprintable()):
        return None
    if not 0 <= k <= limits.max_k or len(user_id) > limits.max_id_bytes:
        return None
    size = 2 + len(user_id) + (k and 1 + (k.bit_length() + 6) // 7) + 2 * include_seen
    if request.ByteSize() != size:
        return None
    return Query(user_id, k or limits.default_k, include_seen)


def _query(request: pb.RecommendRequest, limits: Limits) -> Query:
    return Query(
        request.user_id, request.k or limits.default_k, request.include_seen, _options(request)
    )


def _options(request: pb.RecommendRequest) -> Options | None:
    diversity = request.diversity
    options = Options(
        history=history_of(request.history),
        features=features_of(request.features),
        selection=selection_of(request),
        strict=request.strict,
        diversity=Diversity(
            getattr(diversity, "lambda"),
            tuple((cap.attribute, cap.max_count) for cap in diversity.caps),
        ),
        telling=Telling(request.view == pb.ITEM_VIEW_FULL, request.explain),
    )
    # BASIC by name, or a diversity of nothing, is as plain as can be.
    return None if options == _NO_OPTIONS else options


def _violations(
    request: pb.RecommendRequest, limits: Limits, schema: Schema
) -> list[FieldViolation]:
    violations = user_violations(request, limits, schema)
    violations += address_violations(request, limits)
    violations += k_violations(request.k, limits)
    violations += selection_violations(request, limits, schema)
    violations += view_violations(request.view)
    return violations + _diversity_violations(request.diversity, limits, schema)


def view_violations(view: int) -> list[FieldViolation]:
    """Checks how much is to be told."""
    if view in pb.ItemView.values():
        return []
    return [FieldViolation("view", f"is {view}, must be one of {', '.join(pb.ItemView.keys())}")]


def _diversity_violations(
    diversity: pb.Diversity, limits: Limits, schema: Schema
) -> list[FieldViolation]:
    violations = []
    weight = getattr(diversity, "lambda")
    if not 0 <= weight <= 1:  # which NaN is not either
        violations.append(FieldViolation("diversity.lambda", f"is {weight:g}, must be from 0 to 1"))
    too_many = count_violations("diversity.caps", len(diversity.caps), limits.max_caps)
    if too_many:
        return violations + too_many
    for place, cap in enumerate(diversity.caps):
        field = f"diversity.caps[{place}]"
        violations += text_attribute_violations(f"{field}.attribute", cap.attribute, schema)
        if cap.max_count < 1:
            violations.append(
                FieldViolation(f"{field}.max_count", f"is {cap.max_count}, must be 1 or more")
            )
    names = [cap.attribute for cap in diversity.caps]
    return violations + repeats_violations("diversity.caps", names)
