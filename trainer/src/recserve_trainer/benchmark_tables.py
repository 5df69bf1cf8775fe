"""A benchmark's results for a person, in tables of up to 80 columns."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.table import Table

from recserve_trainer.evaluation.bootstrap import Interval
from recserve_trainer.evaluation.evidence import TaskEvidence
from recserve_trainer.evaluation.published import PublishedRow

_PUBLISHED: Final = " *"
_BEYOND: Final = {
    "coverage": ("coverage", ".4f"),
    "novelty": ("novelty", ".2f"),
    "popularity": ("popularity", ".1f"),
    "exposure_gini": ("Gini", ".4f"),
    "diversity": ("diversity", ".4f"),
    "miscalibration": ("KL", ".4f"),
}


def tables(
    evidence: TaskEvidence, published: tuple[PublishedRow, ...], family: str
) -> Iterator[Table]:
    """Yields the tables of one task.

    Args:
        evidence: all models on the task.
        published: rows to show beside them, of the same protocol.
        family: what the model is called.
    """
    yield _accuracy(evidence, published, family)
    if len(evidence.scored) > 1:
        yield _differences(evidence, family)
    yield _beyond(evidence, family)
    if len(evidence.scored["model"].activity) > 1:
        yield _activity(evidence, family)


def _accuracy(evidence: TaskEvidence, published: tuple[PublishedRow, ...], family: str) -> Table:
    names = list(evidence.scored["model"].intervals)
    users = len(evidence.task.user_rows)
    k = evidence.scored["model"].metrics.k
    title = f"{evidence.task.name}: means over {users:,} users at k = {k}"
    table = _table(title, _headers(names))
    for scorer, scored in evidence.scored.items():
        is_model = scorer == "model"
        cells = _cells([scored.intervals[name] for name in names])
        table.add_row(family if is_model else scorer, *cells, end_section=is_model)
    if published:
        table.add_section()
        sources = dict.fromkeys(row.source for row in published)
        table.caption = f"* published: {'; '.join(sources)}"
        table.caption_justify = "left"
    for row in published:
        first, *others = (f"{row.by_name()[name]:.4f}" for name in names)
        table.add_row(row.model + _PUBLISHED, first, "", *others)
    return table


def _differences(evidence: TaskEvidence, family: str) -> Table:
    names = list(evidence.scored["model"].intervals)
    table = _table(f"{family} minus the others, each user paired with itself", _headers(names))
    for scorer, differences in evidence.differences.items():
        table.add_row(scorer, *_cells([differences[name] for name in names], sign="+"))
    return table


def _beyond(evidence: TaskEvidence, family: str) -> Table:
    title = "beyond accuracy (Gini of exposure; KL of the genres from history to list)"
    table = _table(title, [header for header, _ in _BEYOND.values()])
    for scorer, scored in evidence.scored.items():
        values = scored.beyond.by_name()
        cells = [format(values[name], how) for name, (_, how) in _BEYOND.items()]
        table.add_row(family if scorer == "model" else scorer, *cells)
    return table


def _activity(evidence: TaskEvidence, family: str) -> Table:
    groups = evidence.scored["model"].activity
    names = list(groups[0].metrics)
    table = _table(f"{family} by how many interactions users are known by", ["users", *names])
    for group in groups:
        cells = [f"{group.metrics[name]:.4f}" for name in names]
        table.add_row(f"{group.fewest} to {group.most}", f"{group.user_count:,}", *cells)
    return table


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _headers(names: Sequence[str]) -> list[str]:
    first, *others = (name.partition("@")[0] for name in names)
    return [first, "95 %", *others]


def _cells(intervals: Sequence[Interval], sign: str = "") -> Iterator[str]:
    """Yields the means, and after the first of them its interval."""
    for place, interval in enumerate(intervals):
        yield format(interval.mean, f"{sign}.4f")
        if place == 0:
            low, high = (format(end, f"{sign}.4f") for end in (interval.low, interval.high))
            yield f"[{low}, {high}]"
