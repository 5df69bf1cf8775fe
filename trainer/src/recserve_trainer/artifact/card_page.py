"""A model version as one HTML page that needs nothing else: no network, no script."""

import base64
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from recserve_trainer.artifact.card_plots import PRECISION_RECALL, TRAINING_CURVE
from recserve_trainer.artifact.card_text import (
    NO_VALUE,
    facts,
    interval,
    metric_names,
    shown,
    training_text,
)
from recserve_trainer.artifact.model_card import MODEL, Estimates, ModelCard
from recserve_trainer.artifact.versions import Version

_COMPARED: Final = ("ndcg@10", "recall@10", "precision@10", "map@10", "hit_rate@10")
_DIGEST_SHOWN: Final = 8


def render_page(version: Version, versions: list[Version]) -> str:
    """Renders one version beside all versions of its name; whatever comes from outside is escaped.

    Args:
        version: whose card is shown.
        versions: those to compare it with, itself included, in the order to show them.

    Raises:
        TrainerError: the version's card cannot be read.
    """
    card = version.card()
    environment = Environment(
        loader=PackageLoader("recserve_trainer"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    compared = [name for name in _COMPARED if any(name in _metrics(each) for each in versions)]
    environment.filters["interval"] = interval
    environment.filters["shown"] = shown
    return environment.get_template("report.html").render(
        card=card,
        version=version,
        facts=facts(card),
        training_text=training_text(card),
        metrics=metric_names(card),
        compared=compared,
        versions=[_row(each, version, compared) for each in versions],
        plots={name: _data_uri(version.plot(name)) for name in (TRAINING_CURVE, PRECISION_RECALL)},
    )


def _metrics(version: Version) -> Estimates:
    result = ModelCard.from_manifest(version.manifest).result(MODEL)
    return result.metrics if result else {}


def _row(version: Version, chosen: Version, compared: list[str]) -> dict[str, Any]:
    """Returns one line of the comparison; all in it is from the manifest, which every one has."""
    manifest, found = version.manifest, _metrics(version)
    digest = manifest.dataset.split_sha256
    return {
        "number": version.number,
        "date": manifest.create_time.ToJsonString()[:10],
        "kind": manifest.model.kind,
        "dataset": f"{manifest.dataset.name} {manifest.dataset.version}",
        "digest": digest[:_DIGEST_SHOWN] or NO_VALUE,
        "is_chosen": version.number == chosen.number,
        "is_comparable": bool(digest) and digest == chosen.manifest.dataset.split_sha256,
        "metrics": [interval(found.get(name)) for name in compared],
    }


def _data_uri(picture: bytes | None) -> str | None:
    if picture is None:
        return None
    return "data:image/png;base64," + base64.b64encode(picture).decode("ascii")
