"""Settings of a fit that can be given as text and tell when they are out of range."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Self


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """A config whose fields can be given by name, as text."""

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
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True, slots=True)
class FitConfig(Settings):
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

    def _require_one_epoch(self) -> None:
        if self.epochs != 1:
            raise ValueError(f"epochs is {self.epochs}, must be 1: this family learns in one pass")


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
