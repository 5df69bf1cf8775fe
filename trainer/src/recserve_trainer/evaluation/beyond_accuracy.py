"""What rankings are like apart from being right: wide, new, diverse, calibrated; pure."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from recserve_trainer.evaluation.metrics import Rankings, UserMetrics
from recserve_trainer.interactions import Histories
from recserve_trainer.tables import Column

_SMOOTHING: Final = 0.01
"""Alpha of Steck, "Calibrated recommendations" (2018)."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What is known of items before anything is recommended."""

    train_counts: NDArray[np.int64]
    """[items]: training interactions."""
    attributes: NDArray[np.float32]
    """[items, values]: 1 where the item has the value, e.g. a genre; may have no columns."""


@dataclass(frozen=True, slots=True)
class BeyondAccuracy:
    """Of all rankings together; NaN for what needs attributes if there are none."""

    coverage: float
    """Share of the catalogue that is recommended to anybody."""
    novelty: float
    """Mean over places of -log2 of the share of training interactions that the item has, in bits
    (self-information, Zhou et al., 2010); an item without any counts as having one."""
    popularity: float
    """Mean over places of the item's training interactions (Abdollahpouri et al., 2019, ARP)."""
    exposure_gini: float
    """Inequality of how often items are recommended: 0 all equally, near 1 a few only."""
    diversity: float
    """Mean over users of 1 - the mean cosine of attributes over pairs of a list (Ziegler et al.,
    2005)."""
    miscalibration: float
    """Mean over users of the divergence KL(history || list) of their shares of attribute values, in
    nats, the list smoothed with 1 % of the history (Steck, 2018); 0 is calibrated."""

    def by_name(self) -> dict[str, float]:
        """Returns the values by name."""
        return {
            "coverage": self.coverage,
            "novelty": self.novelty,
            "popularity": self.popularity,
            "exposure_gini": self.exposure_gini,
            "diversity": self.diversity,
            "miscalibration": self.miscalibration,
        }


def attribute_matrix(column: Column | None) -> NDArray[np.float32]:
    """Returns float32 [items, values] of a category column: 1 where the item has the value.

    The values stand in the order of their names; without a column there are none, and no rows.
    """
    if column is None:
        return np.zeros((0, 0), np.float32)
    rows = [
        row if isinstance(row, list) else [row] if row else [] for row in column.values.to_pylist()
    ]
    place = {value: place for place, value in enumerate(sorted({v for row in rows for v in row}))}
    matrix = np.zeros((len(rows), len(place)), np.float32)
    for row, values in enumerate(rows):
        matrix[row, [place[value] for value in values]] = 1
    return matrix


def beyond_accuracy(
    rankings: Rankings, histories: Histories, catalogue: Catalogue
) -> BeyondAccuracy:
    """Describes rankings by the items in them.

    Args:
        rankings: one per user, with one item or more each.
        histories: what each user has taken, to calibrate against.
        catalogue: what the items are.
    """
    recommended = rankings.item_rows[rankings.item_rows >= 0]
    counts = catalogue.train_counts
    exposure = np.bincount(recommended, minlength=len(counts))
    shares = np.maximum(counts, 1) / counts.sum()
    has_attributes = catalogue.attributes.size > 0
    return BeyondAccuracy(
        coverage=float((exposure > 0).mean()),
        novelty=float(-np.log2(shares[recommended]).mean()),
        popularity=float(counts[recommended].mean()),
        exposure_gini=gini(exposure),
        diversity=_diversity(rankings, catalogue.attributes) if has_attributes else np.nan,
        miscalibration=(
            _miscalibration(rankings, histories, catalogue.attributes) if has_attributes else np.nan
        ),
    )


def gini(counts: NDArray[np.int64]) -> float:
    """Returns the Gini coefficient of non-negative counts, [n], one above zero at least."""
    ascending, places = np.sort(counts), np.arange(1, len(counts) + 1)
    weighted = ((2 * places - len(counts) - 1) * ascending).sum()
    return float(weighted / (len(counts) * counts.sum()))


@dataclass(frozen=True, slots=True)
class ActivityGroup:
    """Users of similar activity and how well they are served."""

    fewest: int
    """Known interactions of the least active one."""
    most: int
    user_count: int
    metrics: dict[str, float]
    """Means by name, e.g. `ndcg@10`."""


def by_activity(
    metrics: UserMetrics, histories: Histories, *, groups: int = 4
) -> list[ActivityGroup]:
    """Parts the users at the quantiles of their known interactions, least active first.

    Users of equal activity stay together, so there may be fewer groups, and uneven ones.
    """
    activity = np.diff(histories.offsets)[metrics.user_rows]
    edges = np.quantile(activity, np.linspace(0, 1, groups + 1)[1:-1])
    group_of = np.searchsorted(edges, activity, side="left")
    parts = [np.flatnonzero(group_of == group) for group in np.unique(group_of)]
    return [
        ActivityGroup(
            fewest=int(activity[part].min()),
            most=int(activity[part].max()),
            user_count=len(part),
            metrics={name: float(of[part].mean()) for name, of in metrics.by_name().items()},
        )
        for part in parts
    ]


def _diversity(rankings: Rankings, attributes: NDArray[np.float32]) -> float:
    lengths = np.linalg.norm(attributes, axis=1, keepdims=True)
    unit = attributes / np.maximum(lengths, 1e-12)
    found: list[float] = []
    for row in rankings.item_rows:
        vectors = unit[row[row >= 0]].astype(np.float64)
        count = len(vectors)
        if count > 1:
            own = np.square(vectors).sum()
            pairs = (np.square(vectors.sum(axis=0)).sum() - own) / (count * (count - 1))
            found.append(1 - float(pairs))
    return float(np.mean(found)) if found else float("nan")


def _miscalibration(
    rankings: Rankings, histories: Histories, attributes: NDArray[np.float32]
) -> float:
    # An item with several values gives each an equal share of itself.
    totals = attributes.sum(axis=1, keepdims=True)
    shares = (attributes / np.maximum(totals, 1)).astype(np.float64)
    found: list[float] = []
    for user, row in zip(rankings.user_rows.tolist(), rankings.item_rows, strict=True):
        wanted = shares[histories[user]].sum(axis=0)
        given = shares[row[row >= 0]].sum(axis=0)
        if wanted.sum() > 0 and given.sum() > 0:
            found.append(_divergence(wanted / wanted.sum(), given / given.sum()))
    return float(np.mean(found)) if found else float("nan")


def _divergence(wanted: NDArray[np.float64], given: NDArray[np.float64]) -> float:
    smoothed = (1 - _SMOOTHING) * given + _SMOOTHING * wanted
    is_wanted = wanted > 0
    return float((wanted[is_wanted] * np.log(wanted[is_wanted] / smoothed[is_wanted])).sum())
