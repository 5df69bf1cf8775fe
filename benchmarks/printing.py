"""What a benchmark prints, and where it leaves every measurement."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console

_WIDTH = 120


def wide_console() -> Console:
    """Returns a console that is wide enough for tables where no terminal says how wide it is."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = max(console.width, _WIDTH)
    return console


def save(report: dict[str, Any], file: Path, console: Console) -> None:
    """Writes a report as JSON and says where."""
    file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    console.print(f"every measurement: {file}")
