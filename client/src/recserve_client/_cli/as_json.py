"""What the command line prints as JSON; the names are those of the SDK's fields; pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime

from recserve_client._models import HealthStatus, ModelVersion
from recserve_client._types import RankedItems, Recommendation, RecordedEvents, SimilarItems


def recommendation(recommendation: Recommendation) -> str:
    """One JSON object; `fallback_reason` is null when the ranking is personal."""
    return _json(_fields(recommendation))


def recommendations(recommendations: Iterable[Recommendation]) -> str:
    """A JSON array with the object of each recommendation, in order."""
    return _json([_fields(each) for each in recommendations])


def similar_items(similar: SimilarItems) -> str:
    """One JSON object."""
    return _json(_fields(similar))


def ranked_items(ranked: RankedItems) -> str:
    """One JSON object; `fallback_reason` is null when the order is personal."""
    return _json(_fields(ranked))


def recorded_events(recorded: RecordedEvents) -> str:
    """One JSON object."""
    return _json(asdict(recorded))


def models(models: Iterable[ModelVersion]) -> str:
    """One JSON object with every field of every model; times are ISO 8601 or null."""
    return _json({"models": [asdict(model) for model in models]})


def health(service: str, status: HealthStatus) -> str:
    """One JSON object; an empty `service` is the server as a whole."""
    return _json({"service": service, "status": status})


def _fields(ranking: Recommendation | SimilarItems | RankedItems) -> dict[str, object]:
    names = [field.name for field in fields(ranking) if not field.name.startswith("_")]
    # The long part comes last, for people who read JSON.
    short = {name: getattr(ranking, name) for name in names if name != "items"}
    return short | {"items": [asdict(item) for item in ranking.items]}


def _json(value: Mapping[str, object] | Sequence[object]) -> str:
    return json.dumps(value, indent=2, default=_json_time)


def _json_time(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"cannot print {type(value).__name__} as JSON")
