"""What the command line prints: values to text or JSON; pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from ._types import (
    FallbackReason,
    HealthStatus,
    ModelVersion,
    Recommendation,
    RecommendationSource,
)


def recommendation_json(recommendation: Recommendation) -> str:
    """One JSON object; `fallback_reason` is null when the ranking is personal."""
    return _json(_fields(recommendation))


def recommendations_json(recommendations: Iterable[Recommendation]) -> str:
    """A JSON array with the object of each recommendation, in order."""
    return _json([_fields(each) for each in recommendations])


def recommendation_text(recommendation: Recommendation) -> str:
    """A line on the model, a note if the ranking is not personal, and a table."""
    lines = [
        f"user {_plain(recommendation.user_id)}, model {_plain(recommendation.model_name)} "
        f"version {recommendation.model_version}, source {recommendation.source}"
    ]
    if not recommendation.is_personal:
        lines.append(f"popular items: {_why_popular(recommendation)}")
    if not recommendation.items:
        return "\n".join([*lines, "no items"])
    # Interaction counts are whole numbers, and would look wrong with decimals.
    precision = 0 if recommendation.source is RecommendationSource.POPULARITY else 4
    rows = [
        (str(rank), item.item_id, f"{item.score:.{precision}f}", item.title)
        for rank, item in enumerate(recommendation, start=1)
    ]
    return "\n".join([*lines, "", *_table(("RANK", "ITEM", "SCORE", "TITLE"), rows, right={0, 2})])


def recommendations_text(recommendations: Iterable[Recommendation]) -> str:
    """The text of each recommendation, in order, with an empty line between two."""
    return "\n\n".join(map(recommendation_text, recommendations))


def models_json(models: Iterable[ModelVersion]) -> str:
    """One JSON object with every field of every model; times are ISO 8601 or null."""
    return _json({"models": [asdict(model) for model in models]})


def models_text(models: Sequence[ModelVersion]) -> str:
    """A table of the models; the note says why a version was refused."""
    if not models:
        return "the server has no models"
    header = ("NAME", "VERSION", "STATE", "KIND", "INDEX", "USERS", "ITEMS", "CREATED", "NOTE")
    rows = [
        (
            model.name,
            str(model.version),
            str(model.state),
            model.kind,
            model.index,
            str(model.user_count),
            str(model.item_count),
            f"{model.create_time:%Y-%m-%d %H:%M}Z" if model.create_time else "",
            model.state_message,
        )
        for model in models
    ]
    return "\n".join(_table(header, rows, right={1, 5, 6}))


def health_json(service: str, status: HealthStatus) -> str:
    """One JSON object; an empty `service` is the server as a whole."""
    return _json({"service": service, "status": status})


def health_text(service: str, status: HealthStatus) -> str:
    """One line."""
    return f"{_plain(service) or 'server'}: {status}"


def _fields(recommendation: Recommendation) -> dict[str, object]:
    return {
        "user_id": recommendation.user_id,
        "source": recommendation.source,
        "fallback_reason": recommendation.fallback_reason,
        "model_name": recommendation.model_name,
        "model_version": recommendation.model_version,
        "items": [
            {"item_id": item.item_id, "title": item.title, "score": item.score}
            for item in recommendation
        ],
    }


def _why_popular(recommendation: Recommendation) -> str:
    if recommendation.fallback_reason is FallbackReason.UNKNOWN_USER:
        return f"the model does not know user {_plain(recommendation.user_id)}"
    return f"the server gave the reason {recommendation.fallback_reason or 'none'}"


def _json(value: Mapping[str, object] | Sequence[object]) -> str:
    return json.dumps(value, indent=2, default=_json_time)


def _json_time(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"cannot print {type(value).__name__} as JSON")


def _table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: set[int]
) -> Iterable[str]:
    cells = [header, *([_plain(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(padded).rstrip()


def _plain(text: str) -> str:
    """Keeps control characters of a catalogue away from the terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)
