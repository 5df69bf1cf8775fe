"""Rankings as the bytes of recserve.v1 messages, put together from parts encoded before.

Building protobuf objects for ten items and serialising them takes four times as long
(docs/performance.md). What is encoded here is plain protobuf: fields may stand in any order,
and a message's encoding is that of its parts put one behind the other
(https://protobuf.dev/programming-guides/encoding, "Message Structure").
"""

from typing import Final

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_server.catalogue import Catalogue
from recserve_server.model import Ranking, Source
from recserve_server.wire import FIXED_32, LENGTH_DELIMITED, tag, varint

_MOST_FRAGMENTS: Final = 65_536
_FALLBACKS: Final = {
    Source.USER_ID: (pb.RECOMMENDATION_SOURCE_USER_ID, pb.FALLBACK_REASON_UNSPECIFIED),
    Source.POPULARITY: (pb.RECOMMENDATION_SOURCE_POPULARITY, pb.FALLBACK_REASON_UNKNOWN_USER),
}


class ResponseEncoder:
    """Makes a `RecommendResponse` of each ranking of one model version."""

    def __init__(self, catalogue: Catalogue, *, name: str, version: int) -> None:
        self._fragments = _Fragments(catalogue)
        self._endings = {
            source: pb.RecommendResponse(
                source=told, fallback_reason=reason, model_name=name, model_version=version
            ).SerializeToString()
            for source, (told, reason) in _FALLBACKS.items()
        }

    def encode(self, ranking: Ranking) -> bytes:
        """Returns the encoded `recserve.v1.RecommendResponse`."""
        scores = ranking.scores.astype("<f4", copy=False).view("V4").tolist()
        parts = []
        fragments = self._fragments
        for row, score in zip(ranking.item_rows.tolist(), scores, strict=True):
            parts.append(fragments[row])
            parts.append(score)
        parts.append(self._endings[ranking.source])
        return b"".join(parts)


class _Fragments(dict[int, bytes]):
    """A response's `items` entry by item row, all of it but the four bytes of the score.

    Made when first wanted; there are at most 65,536 at a time, about 100 bytes each.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def __missing__(self, row: int) -> bytes:
        if len(self) >= _MOST_FRAGMENTS:
            self.clear()
        self[row] = fragment = self._encode(row)
        return fragment

    def _encode(self, row: int) -> bytes:
        item = pb.ScoredItem(
            item_id=self._catalogue.item_ids[row], title=self._catalogue.titles[row]
        ).SerializeToString()
        score_tag = tag(pb.ScoredItem.SCORE_FIELD_NUMBER, FIXED_32)
        item_tag = tag(pb.RecommendResponse.ITEMS_FIELD_NUMBER, LENGTH_DELIMITED)
        return item_tag + varint(len(item) + len(score_tag) + 4) + item + score_tag
