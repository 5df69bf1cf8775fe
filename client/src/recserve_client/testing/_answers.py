"""Requests and what is known to answers; pure but for recording events.

Every function raises a RefusedError where the real server refuses.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from recserve.v1 import feedback_service_pb2 as feedback_pb
from recserve.v1 import model_service_pb2 as model_pb
from recserve.v1 import recommendation_service_pb2 as pb

from . import _checks, _ids, _refusals, _selection
from ._askers import Asker, asker_of
from ._knowledge import Knowledge
from ._telling import plain_items, told_items

_RECOMMENDATIONS: Final = "recserve.v1.RecommendationService"
_FEEDBACK: Final = "recserve.v1.FeedbackService"
_MODELS: Final = "recserve.v1.ModelService"
# The same in every run, as all answers are.
_BIRTH: Final = Timestamp(seconds=1_735_689_600)


def recommend(request: pb.RecommendRequest, knowledge: Knowledge) -> pb.RecommendResponse:
    """Ranks the catalogue for one user."""
    _require_served(request, knowledge)
    violations = _checks.recommend_violations(
        request, knowledge.model.max_k, knowledge.catalogue.holds_numbers
    )
    _refusals.refuse_any(violations, "request")
    return _recommendation(request, knowledge)


def batch_recommend(
    request: pb.BatchRecommendRequest, knowledge: Knowledge
) -> pb.BatchRecommendResponse:
    """Ranks the catalogue for several users."""
    violations = _checks.batch_recommend_violations(
        request, knowledge.model.max_k, knowledge.catalogue.holds_numbers
    )
    _refusals.refuse_any(violations, "requests")
    for each in request.requests:
        _require_served(each, knowledge)
    return pb.BatchRecommendResponse(
        responses=[_recommendation(each, knowledge) for each in request.requests]
    )


def find_similar_items(
    request: pb.FindSimilarItemsRequest, knowledge: Knowledge
) -> pb.FindSimilarItemsResponse:
    """Finds the items that share most attributes with given ones."""
    catalogue = knowledge.catalogue
    _require_served(request, knowledge)
    violations = _checks.find_similar_items_violations(
        request, knowledge.model.max_k, catalogue.holds_numbers
    )
    _refusals.refuse_any(violations, "request")
    given = dict.fromkeys(request.item_ids)
    known = [item_id for item_id in given if item_id in catalogue.items]
    if not known:
        raise _refusals.item_unknown(request.item_ids[0])
    scored = [
        (item_id, sum(catalogue.similarity(each, item_id) for each in known) / len(known))
        for item_id in _selection.eligible(request, catalogue, known)
    ]
    k = _wanted(request.k, knowledge)
    found = sorted(scored, key=lambda pair: -pair[1])[:k]
    return pb.FindSimilarItemsResponse(
        items=plain_items(found, catalogue, view=request.view),
        model_name=knowledge.model.name,
        model_version=knowledge.model.version,
        is_short=len(found) < k,
        unknown_item_count=len(given) - len(known),
        unknown_excluded_count=_selection.unknown_excluded_count(request, catalogue),
    )


def rank_items(request: pb.RankItemsRequest, knowledge: Knowledge) -> pb.RankItemsResponse:
    """Puts given items in order for one user."""
    items = knowledge.catalogue.items
    _require_served(request, knowledge)
    _refusals.refuse_any(_checks.rank_items_violations(request), "request")
    asker = asker_of(request, knowledge)
    given = set(request.item_ids)
    ranked = asker.in_order(item_id for item_id in items if item_id in given)
    return pb.RankItemsResponse(
        items=told_items(ranked, asker, view=request.view, explain=request.explain),
        source=asker.source,
        fallback_reason=asker.fallback_reason,
        model_name=knowledge.model.name,
        model_version=knowledge.model.version,
        unknown_item_ids=[item_id for item_id in request.item_ids if item_id not in items],
        unknown_history_count=asker.unknown_history_count,
    )


def record_events(
    request: feedback_pb.RecordEventsRequest, knowledge: Knowledge
) -> feedback_pb.RecordEventsResponse:
    """Keeps what users did."""
    _refusals.refuse_any(_checks.record_events_violations(request), "events")
    recorded = sum(knowledge.record(each) for each in request.events)
    return feedback_pb.RecordEventsResponse(
        recorded_count=recorded, duplicate_count=len(request.events) - recorded
    )


def get_model(request: model_pb.GetModelRequest, knowledge: Knowledge) -> model_pb.GetModelResponse:
    """Describes the one model version that there is."""
    _refusals.refuse_any(_checks.get_model_violations(request), "request")
    if request.name not in ("", knowledge.model.name) or request.version not in (
        0,
        knowledge.model.version,
    ):
        raise _refusals.model_unknown(request.name or knowledge.model.name, request.version)
    return model_pb.GetModelResponse(model=_model(knowledge))


def list_models(
    request: model_pb.ListModelsRequest, knowledge: Knowledge
) -> model_pb.ListModelsResponse:
    """Lists the one model version that there is."""
    _refusals.refuse_any(_checks.list_models_violations(request), "request")
    return model_pb.ListModelsResponse(models=[_model(knowledge)])


class Method(NamedTuple):
    """A method of one of the services."""

    service: str
    """Full name of the service."""
    request_class: type[Message]
    answer: Callable[[Any, Knowledge], Message]
    """From a request of that class."""


METHODS: Final[Mapping[str, Method]] = {
    "Recommend": Method(_RECOMMENDATIONS, pb.RecommendRequest, recommend),
    "BatchRecommend": Method(_RECOMMENDATIONS, pb.BatchRecommendRequest, batch_recommend),
    "FindSimilarItems": Method(_RECOMMENDATIONS, pb.FindSimilarItemsRequest, find_similar_items),
    "RankItems": Method(_RECOMMENDATIONS, pb.RankItemsRequest, rank_items),
    "RecordEvents": Method(_FEEDBACK, feedback_pb.RecordEventsRequest, record_events),
    "GetModel": Method(_MODELS, model_pb.GetModelRequest, get_model),
    "ListModels": Method(_MODELS, model_pb.ListModelsRequest, list_models),
}
"""By name, which no two services share."""


def _recommendation(request: pb.RecommendRequest, knowledge: Knowledge) -> pb.RecommendResponse:
    """Answers a valid request."""
    catalogue, asker = knowledge.catalogue, asker_of(request, knowledge)
    k = _wanted(request.k, knowledge)
    ranked = asker.in_order(_candidates(request, asker))
    chosen = _selection.varied(ranked, request.diversity, k, catalogue)
    return pb.RecommendResponse(
        items=told_items(chosen, asker, view=request.view, explain=request.explain),
        source=asker.source,
        fallback_reason=asker.fallback_reason,
        model_name=knowledge.model.name,
        model_version=knowledge.model.version,
        is_short=len(chosen) < k,
        unknown_excluded_count=_selection.unknown_excluded_count(request, catalogue),
        unknown_history_count=asker.unknown_history_count,
    )


def _candidates(request: pb.RecommendRequest, asker: Asker) -> list[str]:
    if asker.exact_list is not None:
        listed = set(asker.exact_list)
        return [
            each for each in _selection.eligible(request, asker.catalogue, ()) if each in listed
        ]
    seen = () if request.include_seen else asker.seen
    return _selection.eligible(request, asker.catalogue, seen)


def _wanted(k: int, knowledge: Knowledge) -> int:
    return k or min(10, knowledge.model.max_k)


def _require_served(
    request: pb.RecommendRequest | pb.FindSimilarItemsRequest | pb.RankItemsRequest,
    knowledge: Knowledge,
) -> None:
    name, version = knowledge.model.name, knowledge.model.version
    # What cannot be a name or a version is a violation, which is told of later.
    if request.model not in ("", name) and len(request.model) <= _ids.MAX_ID_BYTES:
        raise _refusals.model_unknown(request.model)
    if request.model_version > 0 and request.model_version != version:
        raise _refusals.version_retired(name, request.model_version, version)
    # So is a label with a version.
    if request.model_label == "canary" and not request.model_version:
        raise _refusals.label_unknown(name, request.model_label)


def _model(knowledge: Knowledge) -> model_pb.Model:
    catalogue = knowledge.catalogue
    return model_pb.Model(
        name=knowledge.model.name,
        version=knowledge.model.version,
        state=model_pb.MODEL_STATE_SERVING,
        kind="fake",
        index="exact",
        user_count=len({*catalogue.histories, *knowledge.exact_lists}),
        item_count=len(catalogue.items),
        dataset="fake",
        create_time=_BIRTH,
        load_time=_BIRTH,
        max_k=knowledge.model.max_k,
        labels=["stable"],
    )
