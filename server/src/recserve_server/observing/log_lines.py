"""Lines of the request log; docs/observability.md has their fields."""

import datetime
import json
from collections.abc import Mapping
from typing import Final, NamedTuple

from google.protobuf import json_format
from google.protobuf.message import Message

from recserve_server.calls.call import Call, Ended
from recserve_server.observing.exchange import Exchange

_COUNTED: Final[Mapping[str, str]] = {
    "history_count": "history",
    "feature_count": "features",
    "excluded_count": "excluded_item_ids",
    "allowed_count": "allowed_item_ids",
    "filter_count": "filters",
    "given_item_count": "item_ids",
}


class Entry(NamedTuple):
    """A call that has ended, not yet made into a line."""

    time_s: float
    """When it ended, in Unix time."""
    call: Call
    ended: Ended


def line_of(entry: Entry, *, is_personal: bool) -> bytes:
    """Returns one line of JSON.

    Args:
        entry: the call.
        is_personal: whether to tell who asked what, and which items came back.
    """
    call, ended = entry.call, entry.ended
    exchange = Exchange.of(call, ended)
    time = datetime.datetime.fromtimestamp(entry.time_s, datetime.UTC)
    fields: dict[str, object] = {
        "time": time.isoformat(timespec="microseconds"),
        "method": call.method.rpartition("/")[2],
        "request_id": call.request_id,
        "caller": call.caller,
        "code": ended.code,
        "outcome": ended.outcome,
        "duration_ms": round(ended.duration_s * 1000, 3),
        **_batch(call),
        **_asked(exchange),
        **_told(exchange),
    }
    if is_personal:
        if isinstance(ended.request, Message):
            fields["request"] = json_format.MessageToDict(
                ended.request, preserving_proto_field_name=True
            )
        fields["items"] = [
            [[item.item_id, round(item.score, 6)] for item in answer.items]
            for answer in exchange.answers
        ]
    # ASCII: nothing that a caller sends can look like the end of a line to any reader.
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def _batch(call: Call) -> dict[str, object]:
    timing = call.timing
    if timing is None or not timing.started_s:
        return {}
    return {
        "queue_ms": round((timing.started_s - timing.enqueued_s) * 1000, 3),
        "batch_size": timing.batch_size,
    }


def _asked(exchange: Exchange) -> dict[str, object]:
    if exchange.event_count:
        return {"event_count": exchange.event_count}
    if not exchange.asked:
        return {}
    counts = {name: exchange.asked_count(field) for name, field in _COUNTED.items()}
    fields: dict[str, object] = {"question_count": len(exchange.asked)}
    if exchange.k is not None:
        fields["k"] = exchange.k
    return {**fields, **{name: count for name, count in counts.items() if count}}


def _told(exchange: Exchange) -> dict[str, object]:
    if exchange.model is None:
        return {}
    model, version = exchange.model
    return {
        "model": model,
        "version": version,
        "item_count": exchange.item_count,
        "sources": exchange.sources(),
        "fallbacks": exchange.fallbacks(),
    }
