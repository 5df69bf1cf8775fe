"""What each option of a request costs: its throughput against plain Recommend in the same round."""

import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import grpc
import h2load
import pyarrow as pa
from google.protobuf.message import Message
from h2load import Concurrency, Question
from questions import K, Questions
from rich.table import Table
from servers import Server

from recserve.v1 import feedback_service_pb2, feedback_service_pb2_grpc
from recserve.v1 import recommendation_service_pb2 as pb

_PLAIN: Final = "plain"
_SERVICE: Final = "/recserve.v1.RecommendationService"
_IN_FLIGHT: Final = Concurrency(8, 16)
_NOT_ATTRIBUTES: Final = {"item_id", "title", "train_count"}
_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Option:
    """A request to measure."""

    name: str
    method: str
    request: Message


class Catalogue:
    """What options are made of: ids and attributes of the model that is served."""

    def __init__(self, version: Path) -> None:
        """Reads the tables of MODELS/NAME/VERSION."""
        items, users = _table(version / "items.arrow"), _table(version / "users.arrow")
        order = sorted(range(len(items)), key=items["train_count"].to_pylist().__getitem__)
        item_ids = items["item_id"].to_pylist()
        self.item_ids: list[str] = [item_ids[row] for row in reversed(order)]
        """Most popular first."""
        self.user_ids: list[str] = users["user_id"].to_pylist()
        columns = {name: items[name] for name in items.column_names if name not in _NOT_ATTRIBUTES}
        numbers = [name for name, column in columns.items() if _is_number(column)]
        self.number = numbers[0] if numbers else ""
        self.text = next((name for name in columns if name not in numbers), "")
        values = columns[self.text].to_pylist() if self.text else []
        counts = Counter(
            text
            for value in values
            if value is not None
            for text in ([value] if isinstance(value, str) else value)
        )
        self.texts: list[str] = [text for text, _ in counts.most_common()]
        """Of `text`, most frequent first."""

    def filters(self, count: int) -> list[pb.Filter]:
        """Returns so many different conditions, which leave most of the catalogue."""
        found = []
        for place in range(count):
            if place % 2 and self.number:
                ends = pb.NumberRange(min=-1e6 - place)
                found.append(pb.Filter(attribute=self.number, range=ends))
            else:
                rare = pb.TextValues(values=[self.texts[-1 - place % 4], f"none such {place}"])
                found.append(pb.Filter(attribute=self.text, none=rare))
        return found


def options(asked: Questions) -> Iterator[Option]:
    """Yields plain Recommend, then each option by itself, then several together."""
    catalogue = Catalogue(asked.version)
    user, some = asked.user_id, catalogue.item_ids

    def recommend(name: str, **fields: object) -> Option:
        return Option(name, "Recommend", pb.RecommendRequest(**{"user_id": user, "k": K} | fields))

    history = [pb.HistoryEntry(item_id=item_id, rating=4) for item_id in some[:20]]
    varied = pb.Diversity(**{"lambda": 0.3})
    yield recommend(_PLAIN)
    yield recommend("k = 100", k=100)
    yield recommend("20 excluded items", excluded_item_ids=some[:20])
    yield recommend("1000 excluded items", excluded_item_ids=some[:1000])
    yield recommend("recorded events", user_id=_user_with_events(catalogue))
    yield recommend("history of 20, unknown user", user_id="nobody", history=history)
    yield recommend("history of 2 on top of a known user", history=history[:2])
    yield recommend("100 allowed items", allowed_item_ids=some[:100])
    if catalogue.text:
        for count in (1, 10):
            yield recommend(f"{count} filters", filters=catalogue.filters(count))
        cap = pb.AttributeCap(attribute=catalogue.text, max_count=3)
        yield recommend("cap of 3 per value", diversity=pb.Diversity(caps=[cap]))
    yield recommend("diversity (MMR) 0.3", diversity=varied)
    yield recommend("view FULL", view=pb.ITEM_VIEW_FULL)
    yield recommend("explain", explain=True)
    yield recommend("popularity (unknown user)", user_id="nobody")
    everything = {"history": history[:2], "diversity": varied, "explain": True, "view": 2}
    yield recommend("all together", filters=catalogue.filters(2), **everything)
    yield Option("similar items", "FindSimilarItems", pb.FindSimilarItemsRequest(item_ids=some[:1]))
    ranked = pb.RankItemsRequest(user_id=user, item_ids=some[:50])
    yield Option("50 items ranked", "RankItems", ranked)


def prepare(asked: Questions, server: Server, folder: Path) -> list[tuple[str, Question]]:
    """Writes the requests into `folder`, asks each once, and records a user's events."""
    with grpc.insecure_channel(server.target) as channel:
        _record_events(channel, Catalogue(asked.version))
        prepared = []
        for place, option in enumerate(options(asked)):
            message = option.request.SerializeToString()
            path = f"{_SERVICE}/{option.method}"
            channel.unary_unary(path)(message, timeout=_TIMEOUT_S)
            file = folder / f"option-{place}.request"
            file.write_bytes(struct.pack(">BI", 0, len(message)) + message)
            prepared.append((option.name, Question(path, file)))
        return prepared


def measure(
    prepared: Sequence[tuple[str, Question]], server: Server, seconds: float
) -> dict[str, float]:
    """Keeps 128 calls of each request in flight; returns calls per second by option."""
    return {
        name: h2load.measure(server.target, question, _IN_FLIGHT, seconds).per_s
        for name, question in prepared
    }


def rich_table(rounds: Sequence[dict[str, float]]) -> Table:
    """Returns the medians of the rounds, and of their ratios to plain Recommend."""
    table = Table(title="what options cost: 128 in flight, medians of the rounds")
    for column in ("option", "req/s", "of plain (min..max)"):
        table.add_column(column, justify="left" if column == "option" else "right")
    for name in rounds[0]:
        ratios = [each[name] / each[_PLAIN] for each in rounds]
        spread = f"{median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        table.add_row(name, f"{median(each[name] for each in rounds):,.0f}", spread)
    return table


def _user_with_events(catalogue: Catalogue) -> str:
    return catalogue.user_ids[-1]


def _record_events(channel: grpc.Channel, catalogue: Catalogue) -> None:
    events = [
        feedback_service_pb2.Event(
            event_id=f"bench-{place}",
            user_id=_user_with_events(catalogue),
            item_id=item_id,
            type=feedback_service_pb2.EVENT_TYPE_CLICK,
        )
        for place, item_id in enumerate(catalogue.item_ids[:5])
    ]
    request = feedback_service_pb2.RecordEventsRequest(events=events)
    feedback_service_pb2_grpc.FeedbackServiceStub(channel).RecordEvents(request, timeout=_TIMEOUT_S)


def _table(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        return reader.read_all()


def _is_number(column: pa.ChunkedArray) -> bool:
    return pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
