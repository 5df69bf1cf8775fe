"""What is told of each item of an answer; pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_client._types import AttributeValue

from ._askers import Asker
from ._catalogue import Catalogue

_MOST_CONTRIBUTIONS: Final = 3

Ranked = Sequence[tuple[str, float]]
"""Item ids with their scores, best first."""


def told_items(ranked: Ranked, asker: Asker, *, view: int, explain: bool) -> list[pb.ScoredItem]:
    """Returns the items of an answer to somebody."""
    items = plain_items(ranked, asker.catalogue, view=view)
    for item, (item_id, score) in zip(items, ranked, strict=True):
        if view == pb.ITEM_VIEW_FULL:
            percentile = 100 * score if asker.is_personal else asker.catalogue.percentile(score)
            item.percentile = percentile
        if explain:
            item.explanation.CopyFrom(_explanation(item_id, asker))
    return items


def plain_items(ranked: Ranked, catalogue: Catalogue, *, view: int) -> list[pb.ScoredItem]:
    """Returns items with what does not depend on who asks."""
    is_full = view == pb.ITEM_VIEW_FULL
    return [
        pb.ScoredItem(
            item_id=item_id,
            score=score,
            title=catalogue.items[item_id].title,
            attributes=_attributes(catalogue.items[item_id].attributes) if is_full else (),
        )
        for item_id, score in ranked
    ]


def _explanation(item_id: str, asker: Asker) -> pb.Explanation:
    if not asker.is_personal:
        return pb.Explanation(is_popular=True)
    scored = [(each, asker.contribution(each, item_id)) for each in asker.told]
    # That somebody took an item is no reason to offer it.
    speaking = [(each, score) for each, score in scored if score > 0 and each != item_id]
    best = sorted(speaking, key=lambda pair: -pair[1])[:_MOST_CONTRIBUTIONS]
    items = asker.catalogue.items
    return pb.Explanation(
        contributions=[
            pb.Contribution(item_id=each, title=items[each].title, score=score)
            for each, score in best
        ],
        is_popular=not best,
        is_exact=not asker.is_known,
        shared_attributes=_attributes(
            _shared(items[item_id].attributes, [items[each].attributes for each, _ in best])
        ),
    )


def _shared(
    mine: Mapping[str, AttributeValue], others: Sequence[Mapping[str, AttributeValue]]
) -> Mapping[str, AttributeValue]:
    """Returns the texts that an item has in common with any of some others, by attribute."""
    shared: dict[str, AttributeValue] = {}
    for name, value in mine.items():
        if isinstance(value, float):
            continue
        theirs = {text for other in others for text in _texts(other.get(name))}
        common = tuple(text for text in value if text in theirs)
        if common:
            shared[name] = common
    return shared


def _texts(value: AttributeValue | None) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()


def _attributes(attributes: Mapping[str, AttributeValue]) -> list[pb.Attribute]:
    return [
        pb.Attribute(name=name, texts=value)
        if isinstance(value, tuple)
        else pb.Attribute(name=name, number=value)
        for name, value in attributes.items()
    ]
