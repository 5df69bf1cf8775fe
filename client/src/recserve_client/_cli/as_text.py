"""What the command line prints for people; pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from recserve_client._models import HealthStatus, ModelVersion
from recserve_client._types import (
    AttributeValue,
    Explanation,
    FallbackReason,
    RankedItems,
    Recommendation,
    RecommendationSource,
    RecordedEvents,
    ScoredItem,
    SimilarItems,
)

_Row = TypeVar("_Row")


def recommendation(recommendation: Recommendation) -> str:
    """A line on the model, notes on what is out of the ordinary, and a table."""
    notes = [
        *_notes_on_asker(recommendation),
        *_counted(recommendation.unknown_excluded_count, "excluded item"),
        *_shortness(recommendation.is_short),
    ]
    return _ranking(
        [_header(recommendation), *notes], recommendation.items, _precision(recommendation)
    )


def recommendations(recommendations: Iterable[Recommendation]) -> str:
    """The text of each recommendation, in order, with an empty line between two."""
    return "\n\n".join(map(recommendation, recommendations))


def ranked_items(ranked: RankedItems) -> str:
    """A line on the model, notes on what is out of the ordinary, and a table."""
    notes = [*_notes_on_asker(ranked)]
    if ranked.unknown_item_ids:
        names = ", ".join(map(_plain, ranked.unknown_item_ids))
        notes.append(f"left out, since the model does not know them: {names}")
    return _ranking([_header(ranked), *notes], ranked.items, _precision(ranked))


def similar_items(similar: SimilarItems) -> str:
    """A line on the model, notes on what is out of the ordinary, and a table."""
    lines = [
        f"similar to {', '.join(map(_plain, similar.item_ids))}, "
        f"model {_plain(similar.model_name)} version {similar.model_version}",
        *_counted(similar.unknown_item_count, "given item"),
        *_counted(similar.unknown_excluded_count, "excluded item"),
        *_shortness(similar.is_short),
    ]
    return _ranking(lines, similar.items, precision=4)


def recorded_events(recorded: RecordedEvents) -> str:
    """One line."""
    return f"{recorded.recorded_count} recorded, {recorded.duplicate_count} recorded before"


def models(models: Sequence[ModelVersion]) -> str:
    """A table of the models; the note says why a version was refused."""
    if not models:
        return "the server has no models"
    columns: list[tuple[str, Callable[[ModelVersion], str]]] = [
        ("NAME", lambda model: model.name),
        ("VERSION", lambda model: str(model.version)),
        ("STATE", lambda model: str(model.state)),
        ("LABELS", _labels),
        ("KIND", lambda model: model.kind),
        ("INDEX", lambda model: model.index),
        ("USERS", lambda model: str(model.user_count)),
        ("ITEMS", lambda model: str(model.item_count)),
        (
            "CREATED",
            lambda model: f"{model.create_time:%Y-%m-%d %H:%M}Z" if model.create_time else "",
        ),
        ("GOLDEN", lambda model: _number(model.golden_overlap, 3)),
        ("NOTE", lambda model: model.state_message),
    ]
    shown = _shown(columns, models, optional={"LABELS", "GOLDEN"})
    header = tuple(name for name, _ in shown)
    numbers = {"VERSION", "USERS", "ITEMS", "GOLDEN"}
    right = {place for place, name in enumerate(header) if name in numbers}
    rows = list(zip(*(cells for _, cells in shown), strict=True))
    return "\n".join(_table(header, rows, right=right))


def health(service: str, status: HealthStatus) -> str:
    """One line."""
    return f"{_plain(service) or 'server'}: {status}"


def _header(ranking: Recommendation | RankedItems) -> str:
    user = f"user {_plain(ranking.user_id)}, " if ranking.user_id else ""
    return (
        f"{user}model {_plain(ranking.model_name)} version {ranking.model_version}, "
        f"source {ranking.source}"
    )


def _notes_on_asker(ranking: Recommendation | RankedItems) -> Iterator[str]:
    if not ranking.is_personal:
        yield f"popular items: {_why_popular(ranking)}"
    if ranking.is_degraded:
        yield "recorded events were not used: they could not be looked up in time"
    yield from _counted(
        ranking.unknown_history_count, "item of the history", "items of the history"
    )


def _why_popular(ranking: Recommendation | RankedItems) -> str:
    if ranking.fallback_reason is FallbackReason.UNKNOWN_USER:
        return f"the model does not know user {_plain(ranking.user_id)}"
    if ranking.fallback_reason is FallbackReason.NOTHING_KNOWN:
        return "the model knows nothing of what was told of who asks"
    if ranking.fallback_reason is FallbackReason.NO_QUERY_TOWER:
        return "the model takes known users only, no history or features"
    return f"the server gave the reason {ranking.fallback_reason or 'none'}"


def _counted(count: int, one: str, several: str = "") -> Iterator[str]:
    if count == 1:
        yield f"passed over, since the model does not know it: 1 {one}"
    elif count:
        yield f"passed over, since the model does not know them: {count} {several or one + 's'}"


def _shortness(is_short: bool) -> Iterator[str]:
    if is_short:
        yield "fewer items than wanted: no more are eligible"


def _precision(ranking: Recommendation | RankedItems) -> int:
    # Interaction counts are whole numbers, and would look wrong with decimals.
    return 0 if ranking.source is RecommendationSource.POPULARITY else 4


def _ranking(lines: Sequence[str], items: Sequence[ScoredItem], precision: int) -> str:
    """Puts a table below `lines`, and below each row of it what else is known of the item."""
    if not items:
        return "\n".join([*lines, "no items"])
    columns: list[tuple[str, Callable[[ScoredItem], str]]] = [
        ("ITEM", lambda item: item.item_id),
        ("SCORE", lambda item: f"{item.score:.{precision}f}"),
        ("RETRIEVAL", lambda item: _number(item.retrieval_score, 4)),
        ("PERCENTILE", lambda item: _number(item.percentile, 1)),
        ("TITLE", lambda item: item.title),
    ]
    shown = _shown(columns, items, optional={"RETRIEVAL", "PERCENTILE"})
    header = ("RANK", *(name for name, _ in shown))
    ranks = map(str, range(1, len(items) + 1))
    rows = list(zip(ranks, *(cells for _, cells in shown), strict=True))
    head, *body = _table(header, rows, right={0, *range(2, len(header) - 1)})
    below = ([row, *_details(item)] for row, item in zip(body, items, strict=True))
    return "\n".join([*lines, "", head, *(line for block in below for line in block)])


def _labels(model: ModelVersion) -> str:
    shares = {"canary": f"canary {model.canary_percent:g}%"}
    return ", ".join(shares.get(label, label) for label in model.labels)


def _shown(
    columns: Sequence[tuple[str, Callable[[_Row], str]]], rows: Sequence[_Row], optional: set[str]
) -> list[tuple[str, list[str]]]:
    """Returns the columns with their cells; optional ones only if any row has something there."""
    filled = [(name, list(map(cell, rows))) for name, cell in columns]
    return [(name, cells) for name, cells in filled if name not in optional or any(cells)]


def _number(number: float | None, precision: int) -> str:
    return "" if number is None else f"{number:.{precision}f}"


def _details(item: ScoredItem) -> Iterator[str]:
    if item.attributes:
        yield f"      {'; '.join(map(_attribute, item.attributes.items()))}"
    if item.explanation is not None:
        yield f"      {_reasons(item.explanation)}"


def _reasons(explanation: Explanation) -> str:
    if not explanation.contributions:
        return "popular" if explanation.is_popular else "no reason known"
    about = "" if explanation.is_exact else "about "
    because = ", ".join(
        f"{_plain(each.title or each.item_id)} ({about}{each.score:+.2f})"
        for each in explanation.contributions
    )
    shared = "; ".join(map(_attribute, explanation.shared_attributes.items()))
    return f"because of: {because}{'; shared ' if shared else ''}{shared}"


def _attribute(named: tuple[str, AttributeValue]) -> str:
    name, value = named
    text = ", ".join(value) if isinstance(value, tuple) else f"{value:g}"
    return f"{_plain(name)}: {_plain(text)}"


def _table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: set[int]
) -> Iterator[str]:
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
