"""Requests that name items: similar ones, and given ones in order."""

from collections.abc import Sequence

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_server.config import Limits
from recserve_server.errors import FieldViolation
from recserve_server.query import Options, RankQuery, Schema, SimilarQuery, Telling
from recserve_server.validation.fields import (
    address_violations,
    count_violations,
    ids_violations,
    k_violations,
    refuse_any,
    repeats_violations,
)
from recserve_server.validation.recommend import view_violations
from recserve_server.validation.selection import selection_of, selection_violations
from recserve_server.validation.users import features_of, history_of, user_violations


def parse_find_similar_items(
    request: pb.FindSimilarItemsRequest, limits: Limits, schema: Schema
) -> SimilarQuery:
    """Returns the query that a valid request asks.

    Raises:
        InvalidRequest: with every violation, the first 16 if there are more.
    """
    violations = _given_violations(request.item_ids, limits, limits.max_similar_items)
    violations += k_violations(request.k, limits)
    violations += address_violations(request, limits)
    violations += selection_violations(request, limits, schema)
    violations += view_violations(request.view)
    refuse_any(violations, "request")
    return SimilarQuery(
        tuple(dict.fromkeys(request.item_ids)),
        request.k or limits.default_k,
        selection_of(request),
        Telling(full=request.view == pb.ITEM_VIEW_FULL),
    )


def parse_rank_items(request: pb.RankItemsRequest, limits: Limits, schema: Schema) -> RankQuery:
    """Returns the query that a valid request asks.

    Raises:
        InvalidRequest: with every violation, the first 16 if there are more.
    """
    violations = user_violations(request, limits, schema)
    violations += _given_violations(request.item_ids, limits, limits.max_rank_items)
    violations += repeats_violations("item_ids", request.item_ids)
    violations += address_violations(request, limits)
    violations += view_violations(request.view)
    refuse_any(violations, "request")
    options = Options(
        history=history_of(request.history),
        features=features_of(request.features),
        strict=request.strict,
        telling=Telling(request.view == pb.ITEM_VIEW_FULL, request.explain),
    )
    return RankQuery(request.user_id, tuple(request.item_ids), options)


def _given_violations(item_ids: Sequence[str], limits: Limits, most: int) -> list[FieldViolation]:
    violations = count_violations("item_ids", len(item_ids), most, least=1)
    return violations or ids_violations("item_ids", item_ids, limits, most)
