"""What a run is told."""

import argparse
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """A run of chaos or soak."""

    minutes: float
    seed: int
    work: Path
    """Folder for everything; trained models in it are used again."""
    report: Path | None
    markdown: Path | None
    secured: bool
    store: str
    """redis, sqlite, or auto: Redis if it is installed."""
    faults: tuple[str, ...] = ()


def shared_flags(parser: argparse.ArgumentParser, minutes: float, name: str) -> None:
    """Adds the flags that chaos and soak have in common."""
    parser.add_argument("--minutes", type=float, default=minutes, help="time of load")
    parser.add_argument("--seed", type=int, default=1, help="draws all that is random")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("build") / name,
        help="folder for models, stores and logs; trained models in it are used again",
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write everything as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table")
    parser.add_argument(
        "--store", choices=("auto", "redis", "sqlite"), default="auto", help="where events are kept"
    )
    parser.add_argument("--no-tls", action="store_true", help="plain text on the wire")


def settings_of(parsed: argparse.Namespace) -> Settings:
    """Makes settings of what was parsed."""
    names = getattr(parsed, "faults", "")
    return Settings(
        minutes=parsed.minutes,
        seed=parsed.seed,
        work=parsed.work.absolute(),
        report=parsed.report,
        markdown=parsed.markdown,
        secured=not parsed.no_tls,
        store=parsed.store,
        faults=tuple(filter(None, names.split(","))),
    )
