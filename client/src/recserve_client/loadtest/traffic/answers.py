"""What a sample of the answers said."""

from collections.abc import Iterable

from google.protobuf.message import DecodeError

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_client.loadtest.result import Answers

from .drawing import BATCH_RECOMMEND, RECOMMEND


def read_answers(samples: Iterable[tuple[str, bytes]]) -> Answers:
    """Reads encoded answers to Recommend and BatchRecommend; others are only counted.

    Args:
        samples: Path of the method and the encoded response.
    """
    sampled = 0
    responses: list[pb.RecommendResponse] = []
    for method, message in samples:
        sampled += 1
        try:
            if method == RECOMMEND:
                responses.append(pb.RecommendResponse.FromString(message))
            elif method == BATCH_RECOMMEND:
                responses += pb.BatchRecommendResponse.FromString(message).responses
        except DecodeError:
            continue
    if not responses:
        return Answers(sampled=sampled)
    popular = pb.RECOMMENDATION_SOURCE_POPULARITY
    return Answers(
        sampled=sampled,
        personal_share=sum(each.source != popular for each in responses) / len(responses),
        short_share=sum(each.is_short for each in responses) / len(responses),
        model_versions=tuple(
            sorted({f"{each.model_name} {each.model_version}" for each in responses})
        ),
    )
