"""How each family learns: settings with their limits, checked at birth."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final, Self


@dataclass(frozen=True, kw_only=True, slots=True)
class FitConfig:
    """What every family has."""

    epochs: int = 1
    """Most passes over the training interactions."""
    patience: int = 5
    """Epochs without a better validation nDCG@10 before training stops."""
    seed: int = 42
    """Fixes all that is drawn at random; same seed, same machine, same model."""

    def __post_init__(self) -> None:
        self._require(("epochs", "patience"), 1, math.inf)
        self._require(("seed",), 0, 2**31 - 1)

    def _require(self, names: Sequence[str], least: float, most: float) -> None:
        for name in names:
            value = getattr(self, name)
            if not least <= value <= most:
                limits = (
                    f"{least:g} or more"
                    if most == math.inf
                    else f"from {least:.10g} to {most:.10g}"
                )
                raise ValueError(f"{name} is {value}, must be {limits}")

    def with_settings(self, settings: Mapping[str, str]) -> Self:
        """Returns a copy with some settings replaced, given as text.

        Raises:
            ValueError: a name or a value is not one that this family has.
        """
        kinds = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        changes: dict[str, object] = {}
        for name, text in settings.items():
            if name not in kinds:
                raise ValueError(f"there is no setting {name!r}, only {', '.join(sorted(kinds))}")
            try:
                changes[name] = _parse(text, kinds[name])
            except ValueError:
                kind = kinds[name].__name__
                raise ValueError(f"{name} is {text!r}, must be of type {kind}") from None
        return replace(self, **changes)  # type: ignore[arg-type]  # as parsed by their types


def _parse(text: str, kind: type) -> object:
    if kind is bool:
        if text not in ("true", "false"):
            raise ValueError
        return text == "true"
    value: object = kind(text)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError
    return value


@dataclass(frozen=True, kw_only=True, slots=True)
class GradientConfig(FitConfig):
    """What the families have that learn by gradients."""

    epochs: int = 60
    embedding_dimension: int = 64
    """Length of the learnt part of user and item embeddings."""
    batch_size: int = 512
    """Interactions per step; each is the others' negative."""
    learning_rate: float = 0.003
    """Adam's step size."""
    l2: float = 0.04
    """Weight of the squared norms of the embeddings that a batch uses."""

    def __post_init__(self) -> None:
        FitConfig.__post_init__(self)
        self._require(("embedding_dimension",), 1, math.inf)
        self._require(("batch_size",), 2, math.inf)
        self._require(("l2",), 0, 100)
        if not 0 < self.learning_rate <= 1:
            raise ValueError(f"learning_rate is {self.learning_rate}, must be above 0, at most 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class CollaborativeConfig(GradientConfig):
    """The id two-tower; defaults chosen on folds inside MovieLens 100K's training part."""

    epochs: int = 30
    l2: float = 0.07
    averaging: float = 0.999
    """Share of itself that the moving average of the vectors keeps each step; 0 for none."""
    sampling_correction: bool = True
    """Lower the logits of items by how often they turn up as negatives (logQ)."""
    remove_accidental_hits: bool = True
    """Keep the item that is looked for from being a negative of itself."""
    item_bias: bool = True
    """Learn a number per item that is added to its scores."""
    optimizer: str = "adam"
    """`adam` or `adagrad`."""

    def __post_init__(self) -> None:
        GradientConfig.__post_init__(self)
        if not 0 <= self.averaging < 1:
            raise ValueError(f"averaging is {self.averaging}, must be 0 or more, below 1")
        if self.optimizer not in ("adam", "adagrad"):
            raise ValueError(f"optimizer is {self.optimizer!r}, must be adam or adagrad")


@dataclass(frozen=True, kw_only=True, slots=True)
class TextbookConfig(CollaborativeConfig):
    """The id two-tower as the TensorFlow Recommenders tutorials set it, to compare with."""

    epochs: int = 3
    embedding_dimension: int = 32
    batch_size: int = 8192
    learning_rate: float = 0.1
    l2: float = 0.0
    averaging: float = 0.0
    sampling_correction: bool = False
    remove_accidental_hits: bool = False
    item_bias: bool = False
    optimizer: str = "adagrad"


@dataclass(frozen=True, kw_only=True, slots=True)
class ContentConfig(GradientConfig):
    """Towers over attributes of items and users, and no ids."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HybridConfig(GradientConfig):
    """Ids and attributes in both towers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryConfig(FitConfig):
    """Queries from histories, in closed form: one epoch is everything.

    The defaults were chosen on folds inside the training part of MovieLens 100K.
    """

    dimension: int = 128
    """Length of the vectors, at most; above `ease_items` it is `ials_dimension`."""
    blend: float = 1.6
    """Weight of the iALS scores beside the EASE scores, both with a deviation of 1."""
    ease_items: int = 12_000
    """Larger catalogues are left to iALS alone: EASE keeps a number per pair of items, here
    0.6 GB in the artifact and four times that while it is fitted, and takes 2 items^3 operations,
    some minutes on 2 cores; at 100,000 items it would be 40 GB and a day."""
    basis_users: int = 4000
    """Users, at most, whose scores the common vectors of items are learnt from."""
    ease_l2: float = 600.0
    """Ridge of EASE, in interactions."""
    user_weight_power: float = 0.5
    """A user of n interactions weighs n^-power in EASE."""
    session_weight: float = 4.0
    """Weight in EASE of a session of n items, times n^-0.5; 0 for none."""
    session_gap_s: int = 60
    """Seconds without an interaction that end a session."""
    side_weight: float = 5.0
    """Weight in EASE of an attribute that items share; 0 for none."""
    ials_dimension: int = 64
    """Length of the iALS vectors."""
    ials_alpha: float = 0.3
    """Weight of a missing interaction beside one that is there."""
    ials_l2: float = 0.1
    """Weight of the squared norms in iALS."""
    ials_l2_power: float = 0.75
    """The norm of a vector with n interactions weighs n^power: 0 the same for all, 1 as often as it
    occurs."""
    ials_iterations: int = 12
    """Alternations between users and items."""
    least_confidence: float = 0.6
    """Weight of an interaction with the lowest rating; from the middle of the scale up it is 1."""

    def __post_init__(self) -> None:
        FitConfig.__post_init__(self)
        self._require(
            ("dimension", "ials_dimension", "ials_iterations", "basis_users"), 1, math.inf
        )
        self._require(("ease_items", "session_gap_s", "session_weight", "side_weight"), 0, math.inf)
        self._require(("blend", "user_weight_power", "ials_l2_power"), 0, 10)
        self._require(("least_confidence",), 0.01, 1)
        # Without a ridge the systems to be solved can be singular.
        self._require(("ease_l2", "ials_l2"), 1e-6, math.inf)
        self._require(("ials_alpha",), 0, 1000)


@dataclass(frozen=True, kw_only=True, slots=True)
class RankingConfig(FitConfig):
    """Two stages: the history family retrieves, a ranker puts in order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PopularityConfig(FitConfig):
    """Nothing to be told."""


FIT_CONFIGS: Final[dict[str, type[FitConfig]]] = {
    "collaborative": CollaborativeConfig,
    "history": HistoryConfig,
    "popularity": PopularityConfig,
    "textbook": TextbookConfig,
}
"""The families by name, with what each can be told."""
