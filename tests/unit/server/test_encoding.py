import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_server.answering import encoding
from recserve_server.answering.attributes import ItemAttributes
from recserve_server.answering.catalogue import Catalogue
from recserve_server.answering.encoding import ResponseEncoder
from recserve_server.model import Fallback, Ranking, Source
from recserve_server.wire import encode_batch

TEXTS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=200)
SCORES = st.floats(width=32, allow_nan=False)


def catalogue(texts: list[tuple[str, str]]) -> Catalogue:
    return Catalogue(
        [item_id for item_id, _ in texts],
        [title for _, title in texts],
        np.zeros(len(texts), np.int64),
    )


def encoder_of(texts: list[tuple[str, str]], *, name: str, version: int) -> ResponseEncoder:
    attributes = ItemAttributes({}, len(texts))
    return ResponseEncoder(catalogue(texts), attributes, name=name, version=version)


def ranking(rows: list[int], scores: list[float], source: Source = Source.USER_ID) -> Ranking:
    fallback = Fallback.UNKNOWN_USER if source is Source.POPULARITY else None
    return Ranking(np.array(rows, np.int32), np.array(scores, np.float32), source, fallback)


@given(st.lists(st.tuples(TEXTS, TEXTS, SCORES), max_size=8), st.sampled_from(list(Source)))
def test_the_bytes_are_those_that_protobuf_would_read(
    items: list[tuple[str, str, float]], source: Source
) -> None:
    encoder = encoder_of([each[:2] for each in items], name="films", version=2**40)
    scores = [score for _, _, score in items]

    read = pb.RecommendResponse.FromString(
        encoder.encode(ranking(list(range(len(items))), scores, source))
    )

    popular = source is Source.POPULARITY
    assert read == pb.RecommendResponse(
        items=[pb.ScoredItem(item_id=i, title=t, score=s) for i, t, s in items],
        source=pb.RecommendationSource.Value(f"RECOMMENDATION_SOURCE_{source.name}"),
        fallback_reason=pb.FALLBACK_REASON_UNKNOWN_USER if popular else 0,
        model_name="films",
        model_version=2**40,
    )


def test_a_batch_reads_as_its_responses_in_order() -> None:
    encoder = encoder_of([("a", "A"), ("b", "B" * 300)], name="m", version=1)
    responses = [encoder.encode(ranking(rows, [1.0] * len(rows))) for rows in ([0], [], [1, 0])]

    batch = pb.BatchRecommendResponse.FromString(encode_batch(responses))

    assert [[item.item_id for item in one.items] for one in batch.responses] == [
        ["a"],
        [],
        ["b", "a"],
    ]


def test_encoded_items_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "_MOST_FRAGMENTS", 3)
    encoder = encoder_of([(str(row), "") for row in range(9)], name="m", version=1)

    for row in range(9):
        encoder.encode(ranking([row], [0.0]))

    assert len(encoder._fragments[False, 1]) == 3
