"""Golden queries: what a version was expected to answer when it was exported."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.protobuf import json_format

from recserve.artifact.v1 import manifest_pb2
from recserve.v1 import recommendation_service_pb2 as pb
from recserve_server.models.refusal import Refusal, VersionRefused, reason_of
from recserve_server.query import HistoryEntry, Options, Query

_FILE: Final = "golden.json"


@dataclass(frozen=True, slots=True)
class Golden:
    """Questions with the answers that the trainer expects."""

    questions: tuple[Query, ...] = ()
    expected: tuple[tuple[str, ...], ...] = ()
    """Item ids, beside the questions."""
    overlap: float = 1.0
    """Share of them that the model gave when it was exported."""


def read_golden(folder: Path, manifest: manifest_pb2.Manifest) -> Golden:
    """Reads a version's golden queries; there are none in artifacts from before they were written.

    Raises:
        VersionRefused: they cannot be read.
    """
    if _FILE not in {file.path for file in manifest.files}:
        return Golden()
    try:
        text = (folder / _FILE).read_text(encoding="utf-8")
        found = json_format.Parse(text, manifest_pb2.GoldenQueries(), ignore_unknown_fields=True)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, json_format.ParseError) as error:
        raise VersionRefused(
            Refusal.INCOMPATIBLE, f"{_FILE} cannot be read: {reason_of(error)}"
        ) from error
    return Golden(
        tuple(_question(query) for query in found.queries),
        tuple(tuple(query.item_ids) for query in found.queries),
        found.overlap,
    )


def item_ids(response: bytes) -> tuple[str, ...]:
    """Returns the items of an encoded `recserve.v1.RecommendResponse`."""
    return tuple(each.item_id for each in pb.RecommendResponse.FromString(response).items)


def mean_overlap(
    expected: Sequence[tuple[str, ...]], answered: Sequence[tuple[str, ...]]
) -> float | None:
    """Returns the mean share of the expected items that were answered, in whatever order.

    Questions of which nothing is expected do not count; None if none is left.
    """
    shares = [
        len(set(wanted) & set(given)) / len(set(wanted))
        for wanted, given in zip(expected, answered, strict=True)
        if wanted
    ]
    return sum(shares) / len(shares) if shares else None


def _question(query: manifest_pb2.GoldenQuery) -> Query:
    history = tuple(
        HistoryEntry(each.item_id, each.rating if each.HasField("rating") else float("nan"))
        for each in query.history
    )
    options = Options(history=history) if history else None
    return Query(query.user_id, query.k, query.include_seen, options)
