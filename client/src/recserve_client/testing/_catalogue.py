"""What a fake server knows: items, users, and how they match; pure and the same in every run."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from ._ids import id_fault
from ._item import Item

_NOISE_BITS: Final = 24
"""As many as the fraction of a float32 holds: scores reach the caller as they are."""


class Catalogue:
    """Items in the order given, and users with the items that each of them took."""

    def __init__(self, items: Iterable[Item], users: Mapping[str, Iterable[str]]) -> None:
        """Takes items, and item ids by user id.

        Raises:
            ValueError: two items have one id, an attribute holds numbers here and texts there, or
                a user's history names an item that there is not.
        """
        self.items: Mapping[str, Item] = _by_id(items)
        """By id, in the order given."""
        self.holds_numbers: Mapping[str, bool] = _kinds(self.items.values())
        """By name of an attribute, by name; the others hold texts."""
        self.histories: Mapping[str, tuple[str, ...]] = {
            user_id: self._history(user_id, history) for user_id, history in users.items()
        }
        """By user id, each item once."""
        taken = Counter(item_id for history in self.histories.values() for item_id in history)
        self.counts: Mapping[str, int] = {item_id: taken[item_id] for item_id in self.items}
        """By item id, how many users took it."""
        self._traits = {each.item_id: _traits(each) for each in self.items.values()}

    def similarity(self, one: str, other: str) -> float:
        """Returns which share of all attribute values of two items both have, from 0 to 1."""
        mine, theirs = self._traits[one], self._traits[other]
        return len(mine & theirs) / (len(mine | theirs) or 1)

    def influence(self, taken: str, item_id: str) -> float:
        """Returns how much one item speaks for another, from 0 up to 1."""
        # Mostly what they have in common; the rest tells items apart that have no attributes.
        return 0.75 * self.similarity(taken, item_id) + 0.25 * noise("item", taken, item_id)

    def percentile(self, count: float) -> float:
        """Returns how much of the catalogue fewer than `count` users took, from 0 to 100."""
        below = sum(each < count for each in self.counts.values())
        return 100 * below / len(self.counts)

    def require(self, item_ids: Iterable[str], place: str) -> None:
        """Raises ValueError naming the first of some items that there is not."""
        for item_id in item_ids:
            if item_id not in self.items:
                raise ValueError(f"{place} names item {item_id!r}, which is not in the catalogue")

    def _history(self, user_id: str, history: Iterable[str]) -> tuple[str, ...]:
        fault = id_fault(user_id)
        if fault:
            raise ValueError(f"user id is {user_id!r}, which {fault}")
        if isinstance(history, str):
            raise ValueError(f"users[{user_id!r}] is {history!r}, must be a sequence of item ids")
        item_ids = tuple(dict.fromkeys(history))
        self.require(item_ids, f"users[{user_id!r}]")
        return item_ids


def noise(*keys: str) -> float:
    """Returns a number from 0 up to 1 that looks random, the same for the same keys."""
    # A str's own hash differs from process to process.
    digest = hashlib.blake2b("\0".join(keys).encode(), digest_size=_NOISE_BITS // 8).digest()
    return int.from_bytes(digest) / 2**_NOISE_BITS


def _by_id(items: Iterable[Item]) -> dict[str, Item]:
    found: dict[str, Item] = {}
    for each in items:
        if not isinstance(each, Item):
            raise ValueError(f"items has {each!r}, must have nothing but Item")
        if each.item_id in found:
            raise ValueError(f"items has the id {each.item_id!r} twice, must have each id once")
        found[each.item_id] = each
    return found


def _kinds(items: Iterable[Item]) -> dict[str, bool]:
    kinds: dict[str, bool] = {}
    for each in items:
        for name, value in each.attributes.items():
            if kinds.setdefault(name, isinstance(value, float)) != isinstance(value, float):
                raise ValueError(
                    f"{name} of item {each.item_id!r} is {value!r}, must be of the same kind, "
                    "number or text, in all items"
                )
    return dict(sorted(kinds.items()))


def _traits(item: Item) -> frozenset[tuple[str, float | str]]:
    return frozenset(
        (name, each)
        for name, value in item.attributes.items()
        for each in (value if isinstance(value, tuple) else (value,))
    )
