"""Puts the page together: its parts, its scripts, and what may run on it."""

import base64
import hashlib
import json
from importlib import resources
from string import Template
from typing import Final

from recserve_client.loadtest.files import plain
from recserve_client.loadtest.result import Run

from . import sections

_LICENCE: Final = "vendor/LICENSE-uPlot"
_STYLES: Final = ("vendor/uPlot.min.css", "report.css")
# In this order: each builds on the ones before.
_SCRIPTS: Final = (
    "vendor/uPlot.iife.min.js",
    "plots.js",
    "stage_charts.js",
    "run_charts.js",
    "report.js",
)


def page(run: Run) -> str:
    """Returns the report as an HTML document that needs no network and no other file.

    The same run makes the same page. Its texts are shown as they are, whatever is in them. Raises
    ValueError if a figure is NaN or infinite.
    """
    styles = [_read(name) for name in _STYLES]
    # The licence of uPlot asks that its text goes along with every copy, so with every page.
    scripts = [f"/*\n{_read(_LICENCE)}\n*/", *(_read(name) for name in _SCRIPTS)]
    text = Template(_read("report.html")).substitute(
        policy=_policy(styles, scripts),
        styles="\n".join(f"<style>{style}</style>" for style in styles),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
        title=sections.title(run),
        header=sections.header(run),
        warnings=sections.warnings(run),
        stages=sections.stages(run.stages),
        making=sections.making(run),
        json=_json(run),
    )
    # Arguments that are not UTF-8 come as lone surrogates, which no file can hold.
    return text.encode(errors="replace").decode()


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _policy(styles: list[str], scripts: list[str]) -> str:
    """Allows what is on the page by its hash, and nothing else."""
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"style-src {' '.join(map(_source, styles))}; script-src {' '.join(map(_source, scripts))}"
    )


def _source(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _json(run: Run) -> str:
    # "</script>" or "<!--" in a text would end the element that holds the JSON.
    return json.dumps(plain(run), allow_nan=False).replace("<", "\\u003c")
