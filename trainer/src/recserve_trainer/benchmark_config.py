"""The settings of a benchmark: data, checked at birth."""

from dataclasses import dataclass, field
from pathlib import Path

from recserve_trainer.config import IndexConfig
from recserve_trainer.evaluation.baselines import BASELINES
from recserve_trainer.evaluation.tasks import PROTOCOLS
from recserve_trainer.fit_configs import FIT_CONFIGS
from recserve_trainer.fit_settings import FitConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkConfig:
    """One model on one protocol."""

    archive: Path
    """GroupLens' ml-100k.zip."""
    fit: FitConfig
    """How to learn; its type is the family."""
    protocol: str = "item"
    """One of `PROTOCOLS`."""
    seed: int = 42
    """Of the split; the model has its own."""
    k: int = 10
    baselines: tuple[str, ...] = tuple(BASELINES)
    index: IndexConfig = field(default_factory=IndexConfig)
    models_dir: Path | None = None
    """Where the artifact is kept; None keeps none."""

    def __post_init__(self) -> None:
        for name, known in (("split", PROTOCOLS), ("baselines", BASELINES)):
            values = (self.protocol,) if name == "split" else self.baselines
            if unknown := [value for value in values if value not in known]:
                raise ValueError(f"{name} is {unknown[0]!r}, must be of {', '.join(known)}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed is {self.seed}, must be from 0 to {2**32 - 1}")
        if self.k < 1:
            raise ValueError(f"k is {self.k}, must be 1 or more")

    @property
    def family(self) -> str:
        """Family of the model."""
        return next(name for name, kind in FIT_CONFIGS.items() if type(self.fit) is kind)
