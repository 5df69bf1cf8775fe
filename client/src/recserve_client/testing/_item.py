"""One item, as a test writes it down."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from recserve_client._types import AttributeValue

from ._ids import id_fault


@dataclass(frozen=True, init=False, repr=False, slots=True)
class Item:
    """An item of a fake server's catalogue.

    Item("50", "Star Wars", genres=("Sci-Fi", "War"), year=1977)
    """

    item_id: str
    """Id; 1 to 128 bytes of UTF-8, without control characters."""
    title: str
    """For display; may be empty."""
    attributes: Mapping[str, AttributeValue] = field(hash=False)
    """What is known besides, by name: a number, or one or more texts. Not to be changed."""

    def __init__(
        self, /, item_id: str, title: str = "", **attributes: float | str | Sequence[str]
    ) -> None:
        """Takes an item.

        Args:
            item_id: Its id.
            title: Its title.
            **attributes: By name a finite number, a text or texts. What is not known is left out;
                no texts at all mean the same.

        Raises:
            ValueError: the id, the title or an attribute is not as it must be.
        """
        _require_texts(item_id, title)
        values = {name: _value(item_id, name, value) for name, value in attributes.items()}
        known = {name: value for name, value in sorted(values.items()) if value != ()}
        object.__setattr__(self, "item_id", item_id)
        object.__setattr__(self, "title", title)
        object.__setattr__(self, "attributes", MappingProxyType(known))

    def __repr__(self) -> str:
        """Spells the call that makes an equal item."""
        named = [f"{name}={value!r}" for name, value in self.attributes.items()]
        return f"Item({', '.join([repr(self.item_id), repr(self.title), *named])})"


def _require_texts(item_id: object, title: object) -> None:
    fault = id_fault(item_id) if isinstance(item_id, str) else "is no str"
    if fault:
        raise ValueError(f"item_id is {item_id!r}, which {fault}")
    if not isinstance(title, str):
        raise ValueError(f"title of item {item_id!r} is {title!r}, must be a str")


def _value(item_id: str, name: str, value: object) -> AttributeValue:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        texts = tuple(dict.fromkeys(value))
        if all(isinstance(text, str) for text in texts):
            return texts
    raise ValueError(
        f"{name} of item {item_id!r} is {value!r}, must be a finite number, a str or several"
    )
