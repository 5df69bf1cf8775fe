"""Arguments to protobuf requests, and to what is sent beside them; pure.

Only what cannot be sent is refused here: a wrong type, a number too large for its field. All else
is the server's to judge.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from recserve.v1 import feedback_service_pb2 as feedback_pb
from recserve.v1 import model_service_pb2 as model_pb
from recserve.v1 import recommendation_service_pb2 as recommendation_pb

from . import _encode
from ._encode import filled
from ._errors import InvalidRequestError, refusal, violating
from ._questions import Priority
from ._types import Recommendation

MAX_EXCLUDED: Final = 1000
"""Excluded items that the contract allows in one request."""

PRIORITY_KEY: Final = "x-recserve-priority"
"""Metadata key by which a call tells how urgent it is."""

_DEFAULTS: Final[Mapping[str, object]] = {"k": 10}
_USER_IDS: Final = "a sequence of user ids"
_ITEM_IDS: Final = "a sequence of item ids"


def recommend_request(
    user_id: str, options: Mapping[str, object], place: str = ""
) -> recommendation_pb.RecommendRequest:
    """Builds the question of one user.

    Args:
        user_id: The user; empty means that nobody is named.
        options: As in `RecommendOptions`.
        place: Where it stands in a larger request, as the server writes it: "requests[3].".

    Raises:
        InvalidRequestError: a value is of the wrong type or too large for its field.
        TypeError: there is no option of some name.
    """
    request = recommendation_pb.RecommendRequest()
    _name_user(request, user_id, place)
    return _encode.with_options(request, {**_DEFAULTS, **options}, place)


def batch_recommend_request(
    user_ids: Iterable[str], options: Mapping[str, object]
) -> recommendation_pb.BatchRecommendRequest:
    """Builds one question per user, in their order; raises as `recommend_request` does."""
    return recommendation_pb.BatchRecommendRequest(
        requests=[
            recommend_request(user_id, options, f"requests[{index}].")
            for index, user_id in enumerate(_encode.elements("user_ids", user_ids, _USER_IDS))
        ]
    )


def more_request(
    recommendation: Recommendation, k: int | None
) -> recommendation_pb.RecommendRequest:
    """Builds the question for what comes after a recommendation.

    It is the recommendation's own, put to the model version that answered, without what was shown.

    Raises:
        InvalidRequestError: the recommendation is not a client's own, `k` is no int, or more than
            1000 items would be excluded.
    """
    if not recommendation._request:
        raise InvalidRequestError("recommendation: has no request, must come from a client")
    request = recommendation_pb.RecommendRequest.FromString(recommendation._request)
    shown = (item.item_id for item in recommendation)
    excluded = dict.fromkeys([*request.excluded_item_ids, *shown])
    if len(excluded) > MAX_EXCLUDED:
        raise violating(
            "excluded_item_ids",
            f"has {len(excluded)} elements with all that was shown, "
            f"must have at most {MAX_EXCLUDED}",
        )
    del request.excluded_item_ids[:]
    request.excluded_item_ids.extend(excluded)
    request.model = recommendation.model_name
    request.model_version = recommendation.model_version
    # By now another version may have the label, and only one of the two may be given.
    request.ClearField("model_label")
    return request if k is None else filled(request, k=k)


def similar_items_request(
    item_ids: str | Iterable[str], options: Mapping[str, object]
) -> recommendation_pb.FindSimilarItemsRequest:
    """Builds the question for items like the given; raises as `recommend_request` does."""
    request = recommendation_pb.FindSimilarItemsRequest()
    given = [item_ids] if isinstance(item_ids, str) else item_ids
    _encode.write_texts(request.item_ids, "item_ids", given, _ITEM_IDS)
    return _encode.with_options(request, {**_DEFAULTS, **options})


def rank_items_request(
    item_ids: Iterable[str], user_id: str, options: Mapping[str, object]
) -> recommendation_pb.RankItemsRequest:
    """Builds the question for the order of given items; raises as `recommend_request` does."""
    request = recommendation_pb.RankItemsRequest()
    _encode.write_texts(request.item_ids, "item_ids", item_ids, _ITEM_IDS)
    _name_user(request, user_id)
    return _encode.with_options(request, options)


def record_events_request(events: Iterable[object]) -> feedback_pb.RecordEventsRequest:
    """Builds what tells the server of events; raises InvalidRequestError as `filled` does."""
    request = feedback_pb.RecordEventsRequest()
    for index, event in enumerate(_encode.elements("events", events, "a sequence of Event")):
        _encode.write_event(request.events.add(), f"events[{index}]", event)
    return request


def get_model_request(name: str, version: int) -> model_pb.GetModelRequest:
    """Builds the question; raises InvalidRequestError as `filled` does."""
    return filled(model_pb.GetModelRequest(), name=name, version=version)


def list_models_request(page_token: str = "") -> model_pb.ListModelsRequest:
    """Builds the question for one page."""
    return model_pb.ListModelsRequest(page_token=page_token)


def call_metadata(options: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Returns what goes beside a request, as pairs of key and value.

    Raises:
        InvalidRequestError: `priority` is none.
    """
    priority = options.get("priority")
    if priority is None:
        return ()
    if not isinstance(priority, str) or priority not in list(Priority):
        raise refusal("priority", priority, f"one of {', '.join(Priority)}")
    return ((PRIORITY_KEY, Priority(priority).value),)


def _name_user(
    request: recommendation_pb.RecommendRequest | recommendation_pb.RankItemsRequest,
    user_id: str,
    place: str = "",
) -> None:
    # An empty id would be a violation even where history or features say who asks.
    if user_id != "":
        filled(request, place, user_id=user_id)
