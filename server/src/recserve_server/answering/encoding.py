"""Answers as the bytes of recserve.v1 messages, put together from parts encoded before.

Building protobuf objects for ten items and serialising them takes four times as long
(docs/performance.md). What is encoded here is plain protobuf: fields may stand in any order,
and a message's encoding is that of its parts put one behind the other
(https://protobuf.dev/programming-guides/encoding, "Message Structure").
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_server.answering.attributes import ItemAttributes
from recserve_server.answering.catalogue import Catalogue
from recserve_server.model import Extras, Fallback, Neighbours, Ranking, Source, Why
from recserve_server.wire import FIXED_32, LENGTH_DELIMITED, tag, varint

_MOST_FRAGMENTS: Final = 65_536
_SCORE: Final = tag(pb.ScoredItem.SCORE_FIELD_NUMBER, FIXED_32)
_RETRIEVAL_SCORE: Final = tag(pb.ScoredItem.RETRIEVAL_SCORE_FIELD_NUMBER, FIXED_32)
_PERCENTILE: Final = tag(pb.ScoredItem.PERCENTILE_FIELD_NUMBER, FIXED_32)
_EXPLANATION: Final = tag(pb.ScoredItem.EXPLANATION_FIELD_NUMBER, LENGTH_DELIMITED)
# `items` has the same number in all responses.
_ITEM: Final = tag(pb.RecommendResponse.ITEMS_FIELD_NUMBER, LENGTH_DELIMITED)
_NO_EXTRAS: Final = Extras()


class ResponseEncoder:
    """Makes responses of one model version of rankings."""

    def __init__(
        self, catalogue: Catalogue, attributes: ItemAttributes, *, name: str, version: int
    ) -> None:
        self._catalogue, self._name, self._version = catalogue, name, version
        basic, full = _Statics(catalogue, None), _Statics(catalogue, attributes)
        self._statics = {False: basic, True: full}
        self._fragments = {
            (is_full, count): _Fragments(statics, count)
            for is_full, statics in self._statics.items()
            for count in (1, 2, 3)
        }
        self._plain = self._fragments[False, 1]
        self._endings = {
            (source, fallback, is_short): pb.RecommendResponse(
                source=source.value,  # type: ignore[arg-type]  # the same numbers
                fallback_reason=fallback or 0,  # type: ignore[arg-type]
                model_name=name,
                model_version=version,
                is_short=is_short,
            ).SerializeToString()
            for source in Source
            for fallback in (None, *Fallback)
            for is_short in (False, True)
        }

    def encode(self, ranking: Ranking) -> bytes:
        """Returns the encoded `recserve.v1.RecommendResponse`."""
        _, scores, source, fallback, is_short, first, extras = ranking
        if first is None and extras is None:
            numbers: list[bytes] = scores.astype("<f4", copy=False).view("V4").tolist()
            parts = _joined(self._plain, ranking.item_rows.tolist(), numbers)
        else:
            parts = self._items(ranking)
        parts.append(self._endings[source, fallback, is_short])
        if extras is not None:
            parts.append(
                pb.RecommendResponse(
                    unknown_excluded_count=extras.unknown_excluded,
                    unknown_history_count=extras.unknown_history,
                    is_degraded=extras.is_degraded,
                ).SerializeToString()
            )
        return b"".join(parts)

    def encode_ranked(self, ranking: Ranking) -> bytes:
        """Returns the encoded `recserve.v1.RankItemsResponse`."""
        extras = ranking.extras or _NO_EXTRAS
        ending = pb.RankItemsResponse(
            source=ranking.source.value,  # type: ignore[arg-type]  # the same numbers
            fallback_reason=ranking.fallback or 0,  # type: ignore[arg-type]
            model_name=self._name,
            model_version=self._version,
            unknown_item_ids=extras.unknown_item_ids,
            unknown_history_count=extras.unknown_history,
            is_degraded=extras.is_degraded,
        )
        return b"".join([*self._items(ranking), ending.SerializeToString()])

    def encode_similar(self, neighbours: Neighbours) -> bytes:
        """Returns the encoded `recserve.v1.FindSimilarItemsResponse`."""
        extras = neighbours.extras
        ending = pb.FindSimilarItemsResponse(
            model_name=self._name,
            model_version=self._version,
            is_short=neighbours.is_short,
            unknown_item_count=len(extras.unknown_item_ids),
            unknown_excluded_count=extras.unknown_excluded,
        )
        return b"".join([*self._items(neighbours), ending.SerializeToString()])

    def _items(self, answer: Ranking | Neighbours) -> list[bytes]:
        extras = answer.extras or _NO_EXTRAS
        columns = [answer.scores]
        tags = [_SCORE]
        if isinstance(answer, Ranking) and answer.retrieval_scores is not None:
            columns.append(answer.retrieval_scores)
            tags.append(_RETRIEVAL_SCORE)
        if extras.percentiles is not None:
            columns.append(extras.percentiles)
            tags.append(_PERCENTILE)
        numbers, rows = _interleaved(columns, tags), answer.item_rows.tolist()
        if extras.whys is not None:
            return self._explained(rows, numbers, extras)
        return _joined(self._fragments[extras.is_full, len(columns)], rows, numbers)

    def _explained(
        self, rows: Sequence[int], numbers: Sequence[bytes], extras: Extras
    ) -> list[bytes]:
        statics = self._statics[extras.is_full]
        parts: list[bytes] = []
        for row, of_item, why in zip(rows, numbers, extras.whys or (), strict=True):
            explanation = self._explanation(why)
            item = (statics[row], _SCORE, of_item, _EXPLANATION, varint(len(explanation)))
            size = sum(map(len, item)) + len(explanation)
            parts += (_ITEM, varint(size), *item, explanation)
        return parts

    def _explanation(self, why: Why) -> bytes:
        return pb.Explanation(
            contributions=[
                pb.Contribution(
                    item_id=self._catalogue.item_ids[row],
                    title=self._catalogue.titles[row],
                    score=score,
                )
                for row, score in why.contributions
            ],
            is_popular=not why.contributions,
            is_exact=why.is_exact,
            shared_attributes=[pb.Attribute(name=name, texts=texts) for name, texts in why.shared],
        ).SerializeToString()


def _joined(fragments: "_Fragments", rows: Sequence[int], numbers: Sequence[bytes]) -> list[bytes]:
    parts: list[bytes] = []
    for row, of_item in zip(rows, numbers, strict=True):
        parts.append(fragments[row])
        parts.append(of_item)
    return parts


def _interleaved(columns: Sequence[NDArray[np.float32]], tags: Sequence[bytes]) -> list[bytes]:
    """Returns each item's numbers one behind the other, with all tags but the first."""
    if len(columns) == 1:
        numbers: list[bytes] = columns[0].astype("<f4", copy=False).view("V4").tolist()
        return numbers
    width = 5 * len(columns) - 1
    encoded = np.empty((len(columns[0]), width), np.uint8)
    for place, (column, before) in enumerate(zip(columns, tags, strict=True)):
        start = 5 * place
        if place:
            encoded[:, start - 1] = before[0]
        values = np.ascontiguousarray(column, "<f4")
        encoded[:, start : start + 4] = values.view(np.uint8).reshape(-1, 4)
    interleaved: list[bytes] = encoded.view(f"V{width}").ravel().tolist()
    return interleaved


class _Statics(dict[int, bytes]):
    """What is the same of an item in all responses, by item row.

    Made when first wanted; there are at most 65,536 at a time, about 100 bytes each.
    """

    def __init__(self, catalogue: Catalogue, attributes: ItemAttributes | None) -> None:
        """Takes attributes if they are to be told."""
        self._catalogue, self._attributes = catalogue, attributes

    def __missing__(self, row: int) -> bytes:
        if len(self) >= _MOST_FRAGMENTS:
            self.clear()
        self[row] = encoded = self._encode(row)
        return encoded

    def _encode(self, row: int) -> bytes:
        values = () if self._attributes is None else self._attributes.values(row)
        return pb.ScoredItem(
            item_id=self._catalogue.item_ids[row],
            title=self._catalogue.titles[row],
            attributes=[
                pb.Attribute(name=name, texts=value)
                if isinstance(value, tuple)
                else pb.Attribute(name=name, number=value)
                for name, value in values
            ],
        ).SerializeToString()


class _Fragments(dict[int, bytes]):
    """A response's `items` entry by item row, all of it but its numbers; kept as `_Statics` are."""

    def __init__(self, statics: _Statics, count: int) -> None:
        """Takes how many numbers, with a tag each, are to follow."""
        self._statics, self._size = statics, 5 * count

    def __missing__(self, row: int) -> bytes:
        if len(self) >= _MOST_FRAGMENTS:
            self.clear()
        static = self._statics[row]
        fragment = _ITEM + varint(len(static) + self._size) + static + _SCORE
        self[row] = fragment
        return fragment
