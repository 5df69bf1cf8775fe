"""What answers are made from besides the model itself: its tables and its manifest's scales."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recserve.artifact.v1 import manifest_pb2
from recserve_server.answering.attributes import ItemAttributes
from recserve_server.answering.catalogue import Catalogue, Users
from recserve_server.answering.user_features import FeatureEncoder
from recserve_server.query import Attribute, Schema


@dataclass(frozen=True, slots=True)
class Percentiles:
    """The distribution of a model's retrieval scores; empty if it is not known."""

    percents: NDArray[np.float64]
    """Ascending, from 0 to 100."""
    scores: NDArray[np.float64]
    """Beside `percents`, ascending."""

    def of(self, scores: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Returns how much of all scores lies below each, float32, or None if it is not known."""
        if not len(self.percents):
            return None
        return np.interp(scores, self.scores, self.percents).astype(np.float32)

    def lookup(self) -> Callable[[float], float] | None:
        """Returns what does the same for one score, in a tenth of NumPy's time."""
        scores, percents = self.scores.tolist(), self.percents.tolist()
        if not percents:
            return None

        def percent_of(score: float) -> float:
            place = bisect_right(scores, score)
            if place == 0:
                return float(percents[0])
            if place == len(scores):
                return float(percents[-1])
            low, high = scores[place - 1], scores[place]
            share = (score - low) / (high - low)
            return float(percents[place - 1] + share * (percents[place] - percents[place - 1]))

        return percent_of


@dataclass(frozen=True, slots=True)
class Tables:
    """Items, users and scales of one model version."""

    catalogue: Catalogue
    users: Users
    attributes: ItemAttributes
    encoder: FeatureEncoder
    percentiles: Percentiles
    schema: Schema
    """What requests may name."""
    candidates: int = 0
    """Items that the first stage hands to the second, 0 if there is none."""

    @classmethod
    def open(cls, folder: Path, manifest: manifest_pb2.Manifest) -> Self:
        """Maps the tables of a version's folder.

        Raises:
            OSError: a file cannot be read.
            ValueError: a table is not as docs/artifact.md has it, or does not fit the manifest.
        """
        catalogue = Catalogue.open(folder / "items.arrow")
        users = Users.open(folder / "users.arrow")
        model = manifest.model
        if (len(catalogue), len(users)) != (model.item_count, model.user_count):
            raise ValueError(
                f"the tables hold {len(catalogue)} items and {len(users)} users, "
                f"manifest.json says {model.item_count} and {model.user_count}"
            )
        for table, rows in (("items", catalogue), ("users", users)):
            if not len(rows):
                raise ValueError(f"{table}.arrow holds no {table}")
        points = model.score_percentiles
        attributes = ItemAttributes.open(folder / "items.arrow")
        features = (
            Attribute(each.name, is_number=each.kind == "number") for each in model.query_features
        )
        return cls(
            catalogue,
            users,
            attributes,
            FeatureEncoder(model.query_features),
            Percentiles(
                np.array([each.percent for each in points]),
                np.array([each.score for each in points]),
            ),
            Schema(attributes.schema, tuple(sorted(features))),
            model.ranking_candidates,
        )
