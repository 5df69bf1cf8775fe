"""The settings of a training run: data, checked at birth."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from recserve_trainer.fit_configs import FIT_CONFIGS, CollaborativeConfig
from recserve_trainer.fit_settings import FitConfig
from recserve_trainer.synthetic_size import parse_size

MOVIELENS: Final = tuple(
    f"movielens/{version}" for version in ("100k", "1m", "20m", "25m", "latest-small")
)
TABLE_FORMATS: Final = ("csv", "parquet")
BAD_ROWS: Final = ("fail", "skip")
INDEX_KINDS: Final = ("auto", "exact", "scann")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetConfig:
    """Which interactions to learn from, and where they are kept."""

    name: str = "auto"
    """`auto`, `movielens/VERSION`, `recserve_synthetic/USERSxITEMS[xINTERACTIONS][@SEED]`,
    `csv:DIR` or `parquet:DIR`."""
    data_dir: Path
    """Folder of datasets prepared by tensorflow_datasets; new ones are prepared there too."""
    archive: Path | None = None
    """A MovieLens archive, e.g. ml-100k.zip, to prepare from without network."""
    schema: Path | None = None
    """What the columns of own tables mean, JSON or TOML; None for the schema in their folder, or
    to go by the names of the columns."""
    bad_rows: str = "fail"
    """What becomes of rows of own tables that cannot be used: `fail` or `skip`."""

    def __post_init__(self) -> None:
        if self.bad_rows not in BAD_ROWS:
            raise ValueError(f"bad_rows is {self.bad_rows!r}, must be one of {', '.join(BAD_ROWS)}")
        if self.tables is not None:
            if not self.name.partition(":")[2]:
                raise ValueError(f"dataset is {self.name!r}, must name a folder, as csv:DIR does")
            return
        family, _, version = self.name.partition("/")
        if family == "recserve_synthetic":
            if version:
                parse_size(version)
        elif self.name not in ("auto", *MOVIELENS):
            raise ValueError(
                f"dataset is {self.name!r}, must be auto, {', '.join(MOVIELENS)}, "
                "recserve_synthetic/USERSxITEMS[xINTERACTIONS][@SEED], csv:DIR or parquet:DIR"
            )
        if self.schema is not None:
            raise ValueError(f"schema is for csv:DIR and parquet:DIR, but dataset is {self.name}")

    @property
    def tables(self) -> tuple[str, Path] | None:
        """Format and folder of own tables, None if the dataset is another's."""
        file_format, separator, folder = self.name.partition(":")
        if not separator or file_format not in TABLE_FORMATS:
            return None
        return file_format, Path(folder).expanduser()


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitConfig:
    """How each user's interactions are split by time; the rest, the oldest, is for training."""

    validation_share: float = 0.1
    """Share of a user's interactions, the newest but for the test's, that choose the epoch."""
    test_share: float = 0.1
    """Share of a user's interactions, the newest, that are only tested on."""

    def __post_init__(self) -> None:
        for flag, share in (
            ("validation_share", self.validation_share),
            ("test_share", self.test_share),
        ):
            if not 0 < share < 0.5:
                raise ValueError(f"{flag} is {share}, must be above 0 and below 0.5")


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexConfig:
    """How the catalogue is searched, and how well it must be."""

    kind: str = "auto"
    """`exact`, `scann`, or `auto`: by the size of the catalogue."""
    min_recall: float = 0.95
    """Least share of the exact top 10 that a written `scann` index must find, 0 to 1."""

    def __post_init__(self) -> None:
        if self.kind not in INDEX_KINDS:
            raise ValueError(f"index is {self.kind!r}, must be one of {', '.join(INDEX_KINDS)}")
        if not 0 <= self.min_recall <= 1:
            raise ValueError(f"min_index_recall is {self.min_recall}, must be from 0 to 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """One training run, from dataset to published version."""

    dataset: DatasetConfig
    models_dir: Path
    """Folder that holds one folder per model name."""
    name: str = "films"
    """Name to publish under: MODELS/NAME/VERSION."""
    index: IndexConfig = IndexConfig()
    split: SplitConfig = SplitConfig()
    fit: FitConfig = field(default_factory=CollaborativeConfig)
    """How to learn; its type is the family of the model."""
    refit: bool = True
    """Whether to learn once more from training and validation interactions together, as long as
    the validation split found best."""
    logs_dir: Path | None = None
    """Folder for TensorBoard's event files; None means MODELS/NAME/logs."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"name is {self.name!r}, must be 1 to 64 letters, digits, '_', '.' or '-', "
                "starting with a letter or digit"
            )

    @property
    def model(self) -> str:
        """Family of the model."""
        return next(name for name, kind in FIT_CONFIGS.items() if type(self.fit) is kind)
