"""What is asked: a mix, drawn by a seed, of every kind of call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any

from recserve_client import Filter, HistoryEntry, ItemView

from .bases import Told, table

COUNT = 600


class Kind(StrEnum):
    """Which call a question is."""

    RECOMMEND = "recommend"
    BATCH = "batch"
    SIMILAR = "similar"
    RANK = "rank"


@dataclass(frozen=True)
class Question:
    """A call, and what the oracle needs to know of it."""

    kind: Kind
    users: tuple[str, ...] = ()
    """One, "" for nobody; several of a batch."""
    item_ids: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    told: int | None = None
    """Place of its history among those that the oracle knows scores for."""


@dataclass(frozen=True)
class Names:
    """Ids that questions are made of."""

    users: tuple[str, ...]
    """Known to the models; nobody records events of them."""
    event_users: tuple[str, ...]
    """Known and unknown users whom events are recorded of."""
    items: tuple[str, ...]
    genres: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path, event_users: int = 60) -> "Names":
        """Takes the tables of a version."""
        items, users = table(folder, "items"), table(folder, "users")["user_id"]
        strangers = [f"stranger-{number}" for number in range(event_users)]
        genres = sorted({name for names in items["genres"] for name in names or ()})
        return cls(
            tuple(users[:-event_users]),
            (*users[-event_users:], *strangers),
            tuple(items["item_id"]),
            tuple(genres),
        )


def draw_told(names: Names, random: Random, count: int = 80) -> list[Told]:
    """Draws histories: half of known users, half of strangers."""
    drawn = []
    for place in range(count):
        item_ids = random.sample(names.items, random.randint(1, 8))
        ratings = [random.choice([None, 2.0, 5.0]) for _ in item_ids]
        user_id = random.choice(names.users) if place % 2 else ""
        drawn.append(Told(user_id, tuple(item_ids), tuple(ratings)))
    return drawn


def draw_questions(names: Names, told: Sequence[Told], random: Random) -> list[Question]:
    """Draws the questions that are asked over and over."""
    kinds = random.choices(list(Kind), weights=(70, 6, 12, 12), k=COUNT)
    return [_question(kind, names, told, random) for kind in kinds]


def _question(kind: Kind, names: Names, told: Sequence[Told], random: Random) -> Question:
    if kind is Kind.BATCH:
        users = [_user(names, random) for _ in range(random.randint(2, 24))]
        return Question(kind, tuple(users), options=_selection(names, random))
    if kind is Kind.SIMILAR:
        item_ids = (*random.sample(names.items, random.randint(1, 4)), *_unknown(random))
        return Question(kind, item_ids=item_ids, options=_selection(names, random))
    options = _selection(names, random) if kind is Kind.RECOMMEND else {}
    if kind is Kind.RECOMMEND and random.random() < 0.2:
        options["include_seen"] = True
    users, place = (_user(names, random),), None
    if random.random() < 0.25:
        place = random.randrange(len(told))
        users = (told[place].user_id,)
        pairs = zip(told[place].item_ids, told[place].ratings, strict=True)
        options["history"] = [HistoryEntry(*pair) for pair in pairs]
    item_ids = ()
    if kind is Kind.RANK:
        item_ids = (*random.sample(names.items, random.randint(5, 60)), *_unknown(random))
    return Question(kind, users, item_ids, options, place)


def _user(names: Names, random: Random) -> str:
    return random.choice(names.users) if random.random() < 0.9 else f"nobody-{random.random()}"


def _unknown(random: Random) -> tuple[str, ...]:
    return ("no such item",) if random.random() < 0.2 else ()


def _selection(names: Names, random: Random) -> dict[str, Any]:
    options: dict[str, Any] = {"k": random.choice([1, 5, 10, 10, 10, 50, 200])}
    if random.random() < 0.2:
        options["excluded_item_ids"] = random.sample(names.items, random.randint(1, 60))
    if random.random() < 0.1:
        options["allowed_item_ids"] = random.sample(names.items, random.randint(1, 100))
    if random.random() < 0.2:
        options["filters"] = [_filter(names, random)]
    if random.random() < 0.1:
        options["view"] = ItemView.FULL
    return options


def _filter(names: Names, random: Random) -> Filter:
    if random.random() < 0.5:
        least = random.randint(1950, 2015)
        return Filter.between("year", least, least + 20)
    genres = random.sample(names.genres, 2)
    return random.choice([Filter.any_of, Filter.all_of, Filter.none_of])("genres", genres)
