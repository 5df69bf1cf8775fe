"""Fuzzes parsing and validation: python tests/hostile/fuzz_requests.py -max_total_time=60.

The first byte picks a method, the others are the request's bytes.
"""

import atheris

with atheris.instrument_imports(include=["recserve_server.validation"]):
    from recserve_server.validation.events import parse_record_events
    from recserve_server.validation.items import parse_find_similar_items, parse_rank_items
    from recserve_server.validation.models import parse_get_model, parse_list_models
    from recserve_server.validation.recommend import parse_batch_recommend, parse_recommend

from fuzzing import fuzz
from google.protobuf.message import DecodeError

from recserve.v1 import feedback_service_pb2 as feedback
from recserve.v1 import model_service_pb2 as models
from recserve.v1 import recommendation_service_pb2 as pb
from recserve_server.config import Limits
from recserve_server.errors import InvalidRequest
from recserve_server.query import Attribute, Schema

LIMITS = Limits()
NOW_S = 1_700_000_000.0
SCHEMA = Schema(
    item_attributes=(Attribute("g", is_number=False), Attribute("y", is_number=True)),
    user_features=(Attribute("a", is_number=True), Attribute("c", is_number=False)),
)
PARSERS = (
    (pb.RecommendRequest, lambda request: parse_recommend(request, LIMITS, SCHEMA)),
    (
        pb.BatchRecommendRequest,
        lambda request: parse_batch_recommend(request, LIMITS, lambda _: SCHEMA),
    ),
    (pb.FindSimilarItemsRequest, lambda request: parse_find_similar_items(request, LIMITS, SCHEMA)),
    (pb.RankItemsRequest, lambda request: parse_rank_items(request, LIMITS, SCHEMA)),
    (feedback.RecordEventsRequest, lambda request: parse_record_events(request, LIMITS, NOW_S)),
    (models.GetModelRequest, lambda request: parse_get_model(request, LIMITS)),
    (models.ListModelsRequest, parse_list_models),
)


def parse(encoded: bytes) -> None:
    if not encoded:
        return
    kind, parse_request = PARSERS[encoded[0] % len(PARSERS)]
    try:
        parse_request(kind.FromString(encoded[1:]))
    except DecodeError:
        return
    except InvalidRequest as refused:
        assert refused.violations  # noqa: PT017


def seeds() -> list[bytes]:
    """Returns requests of each kind in which as much is set as may be."""
    entry = pb.HistoryEntry(item_id="i0", rating=1, time={"seconds": 5})
    who = {"user_id": "u0", "history": [entry], "strict": True, "model": "m", "model_version": 1}
    features = [pb.UserFeature(name="a", number=1), pb.UserFeature(name="c", text="t")]
    selection = {
        "excluded_item_ids": ["i1"],
        "allowed_item_ids": ["i2", "i3"],
        "filters": [
            pb.Filter(attribute="g", any=pb.TextValues(values=["x"])),
            pb.Filter(attribute="y", range=pb.NumberRange(min=1, max=2)),
        ],
    }
    varied = pb.Diversity(caps=[pb.AttributeCap(attribute="g", max_count=2)], **{"lambda": 0.5})
    full = pb.RecommendRequest(
        **who, **selection, features=features, k=3, diversity=varied, view=2, explain=True
    )
    event = feedback.Event(event_id="e", user_id="u0", item_id="i0", type=4, rating=3)
    requests = [
        full,
        pb.BatchRecommendRequest(requests=[full, pb.RecommendRequest(user_id="u1")]),
        pb.FindSimilarItemsRequest(item_ids=["i0"], k=3, **selection),
        pb.RankItemsRequest(**who, features=features, item_ids=["i0", "i1"]),
        feedback.RecordEventsRequest(events=[event]),
        models.GetModelRequest(name="m", version=1),
        models.ListModelsRequest(page_size=1, page_token="MS9t"),
    ]
    return [bytes([place]) + each.SerializeToString() for place, each in enumerate(requests)]


if __name__ == "__main__":
    fuzz(parse, seeds())
