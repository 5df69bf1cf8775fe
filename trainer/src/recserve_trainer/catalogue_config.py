"""What is to change in a published catalogue: data, checked at birth."""

from dataclasses import dataclass, field
from pathlib import Path

from recserve_trainer.config import BAD_ROWS, TABLE_FORMATS, IndexConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class NewItemsConfig:
    """Where new items are read from, and how."""

    file: Path
    """A table of items, its name ending in .csv or .parquet."""
    schema: Path | None = None
    """What its columns mean, JSON or TOML; None for the schema beside it, or to go by names."""
    bad_rows: str = "fail"
    """What becomes of rows that cannot be used: `fail` or `skip`."""

    def __post_init__(self) -> None:
        if self.file_format not in TABLE_FORMATS:
            raise ValueError(f"items is {str(self.file)!r}, must end in .csv or .parquet")
        if self.bad_rows not in BAD_ROWS:
            raise ValueError(f"bad_rows is {self.bad_rows!r}, must be one of {', '.join(BAD_ROWS)}")

    @property
    def file_format(self) -> str:
        """`csv` or `parquet`."""
        return self.file.suffix.lower().removeprefix(".")


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueConfig:
    """One change of one model's catalogue, published as its next version."""

    models_dir: Path
    """Folder that holds one folder per model name."""
    name: str
    version: int | None = None
    """What is changed; None for the newest version."""
    new_items: NewItemsConfig | None = None
    retired_files: tuple[Path, ...] = ()
    """Ids of items that leave, one a line."""
    retired_ids: tuple[str, ...] = ()
    """More of them."""
    index: IndexConfig = field(default_factory=IndexConfig)

    def __post_init__(self) -> None:
        if self.version is not None and self.version < 1:
            raise ValueError(f"version is {self.version}, must be 1 or more")
        if not (self.new_items or self.retired_files or self.retired_ids):
            raise ValueError(
                "there is nothing to do; give new items by --items, or items that leave by "
                "--retire or --retire-id"
            )
