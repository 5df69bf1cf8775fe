"""Writes the model card's files into a version's folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recserve.artifact.v1 import manifest_pb2
from recserve_trainer.artifact.card_limits import known_limits, protocol
from recserve_trainer.artifact.card_plots import write_plots
from recserve_trainer.artifact.card_results import Measurement
from recserve_trainer.artifact.card_text import markdown
from recserve_trainer.artifact.model_card import ModelCard, Training, finite

CARD_DIR: Final = "card"
CARD_JSON: Final = "model_card.json"
CARD_MARKDOWN: Final = "model_card.md"
PROJECTOR_DIR: Final = "projector"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a card tells beyond the manifest."""

    measured: Measurement
    kept_epoch: int
    curve: Sequence[dict[str, float]]
    """What was logged of each epoch, by name."""


def model_card(manifest: manifest_pb2.Manifest, evidence: Evidence) -> ModelCard:
    """Puts the card together; the manifest must already tell of the index and the time."""
    measured = evidence.measured
    training = Training(
        kept_epoch=evidence.kept_epoch, curve=tuple(finite(each) for each in evidence.curve)
    )
    index = (manifest.index.kind, manifest.index.recall_at_10)
    return ModelCard.from_manifest(
        manifest,
        protocol=protocol(measured.facts),
        results=measured.results,
        differences=measured.differences,
        activity=measured.activity,
        training=training,
        known_limits=known_limits(measured, training, index),
    )


def write_card(folder: Path, card: ModelCard) -> None:
    """Writes model_card.md, model_card.json and the plots into `folder`, which it makes.

    Raises:
        OSError: a file cannot be written.
    """
    folder.mkdir()
    plots = write_plots(folder, card)
    (folder / CARD_JSON).write_text(card.to_json(), encoding="utf-8", newline="\n")
    (folder / CARD_MARKDOWN).write_text(markdown(card, plots), encoding="utf-8", newline="\n")
