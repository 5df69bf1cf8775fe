"""A model card as Markdown."""

import html
import re
from collections.abc import Iterable, Sequence
from typing import Final

from recserve_trainer.artifact.model_card import Estimate, ModelCard

NO_VALUE: Final = "–"  # noqa: RUF001  # an en dash is what it is to be
COUNTS: Final = {
    "train_count": "train",
    "validation_count": "validation",
    "test_count": "test",
}
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]#|~!])")
_ACTIVITY_METRIC: Final = "ndcg@10"
_CURVE_ENDS: Final = (1, 5, 10, 20, 50)


def markdown(card: ModelCard, plots: Sequence[str] = ()) -> str:
    """Returns the card as Markdown; whatever comes from outside is escaped.

    Args:
        card: what to tell.
        plots: names of PNG files beside it, out of `training_curve.png` and
            `precision_recall.png`.
    """
    sections = [
        f"# Model card: {escape(card.name)}",
        f"{escape(card.kind)} model, exported {card.create_time}. The version is the name of the "
        "folder.",
        _facts(card),
        "## Results on the test split",
        escape(card.protocol),
        _results(card),
        *_differences(card),
        *_activity(card),
        *_precision_recall(card, "precision_recall.png" in plots),
        *_training(card, "training_curve.png" in plots),
        *_limits(card),
        "## Made with",
        _table(("library", "version"), card.library_versions.items()),
        "## Settings",
        _table(("setting", "value"), card.settings.items()),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def escape(text: object) -> str:
    """Returns text that Markdown shows as it is, on one line."""
    one_line = html.escape(" ".join(str(text).split()), quote=False)
    return _SPECIAL.sub(r"\\\1", one_line)


def shown(value: float | None, *, signed: bool = False) -> str:
    """Returns a number with four decimals, a dash for none."""
    if value is None:
        return NO_VALUE
    return f"{value:+.4f}" if signed else f"{value:.4f}"


def interval(estimate: Estimate | None, *, signed: bool = False) -> str:
    """Returns a mean and, where there are any, the ends of its interval."""
    if estimate is None:
        return NO_VALUE
    mean = shown(estimate.mean, signed=signed)
    if estimate.low is None or estimate.high is None:
        return mean
    low, high = shown(estimate.low, signed=signed), shown(estimate.high, signed=signed)
    return f"{mean} ({low} to {high})"


def metric_names(card: ModelCard) -> list[str]:
    """Returns the names of all metrics of all scorers, in the order they come up."""
    return list(dict.fromkeys(name for result in card.results for name in result.metrics))


def facts(card: ModelCard) -> list[tuple[str, str]]:
    """Returns what the model is and what it learnt from, as pairs of name and value."""
    dataset = card.dataset
    parts = ", ".join(f"{dataset[name]:,} {label}" for name, label in COUNTS.items())
    is_measured = card.index_kind != "exact" and card.index_recall_at_10 > 0
    recall = f", finds {card.index_recall_at_10:.4f} of the exact top 10"
    return [
        ("family", card.kind),
        ("embedding length", f"{card.embedding_dimension}"),
        ("users", f"{card.user_count:,}"),
        ("items", f"{card.item_count:,}"),
        ("index", card.index_kind + (recall if is_measured else "")),
        ("dataset", f"{dataset['name']} {dataset['version']}"),
        ("split", str(dataset["split"])),
        ("interactions", parts),
        ("split SHA-256", str(dataset["split_sha256"])),
    ]


def training_text(card: ModelCard) -> str:
    """Says how the model came about; empty if that is not known."""
    training = card.training
    if training is None:
        return ""
    is_refit = card.settings.get("refit") == "True" and bool(card.dataset["validation_count"])
    if training.is_single:
        both = ", to training and validation interactions together" if is_refit else ""
        return f"Fitted in one pass{both}; so there is no training curve."
    text = f"Kept epoch {training.kept_epoch} of {len(training.curve)}."
    if is_refit:
        text += (
            " What is exported was then learnt once more, for as many epochs, from training and "
            "validation interactions together."
        )
    return text


def _facts(card: ModelCard) -> str:
    return _table(("", ""), facts(card))


def _results(card: ModelCard) -> str:
    rows = [
        (name, *(interval(result.metrics.get(name)) for result in card.results))
        for name in metric_names(card)
    ]
    return _table(("metric", *(result.scorer for result in card.results)), rows)


def _differences(card: ModelCard) -> list[str]:
    if not card.differences:
        return []
    names = card.differences[0].metrics
    rows = [
        (name, *(interval(each.metrics.get(name), signed=True) for each in card.differences))
        for name in names
    ]
    heads = ("metric", *(f"model - {each.baseline}" for each in card.differences))
    return [
        "## Against the baselines",
        "An interval that holds zero means: not to be told apart on these users.",
        _table(heads, rows),
    ]


def _activity(card: ModelCard) -> list[str]:
    if not card.activity:
        return []
    scorers = list(card.activity[0].metrics)
    rows = [
        (
            f"{group.fewest:,} to {group.most:,}",
            f"{group.user_count:,}",
            *(shown(group.metrics[scorer].get(_ACTIVITY_METRIC)) for scorer in scorers),
        )
        for group in card.activity
    ]
    return [
        "## By activity of the user",
        f"{_ACTIVITY_METRIC} for about a quarter of the tested users each, by interactions before "
        "the test.",
        _table(("interactions", "users", *scorers), rows),
    ]


def _precision_recall(card: ModelCard, has_plot: bool) -> list[str]:
    results = [result for result in card.results if result.precision]
    if not results:
        return []
    longest = min(len(result.precision) for result in results)
    lengths = sorted({k for k in _CURVE_ENDS if k <= longest} | {longest})
    rows = [
        (
            str(k),
            *(
                f"{shown(result.precision[k - 1])} / {shown(result.recall[k - 1])}"
                for result in results
            ),
        )
        for k in lengths
    ]
    return [
        "## Precision and recall",
        "![Precision against recall](precision_recall.png)" if has_plot else "",
        _table(("k", *(f"{result.scorer}: precision / recall" for result in results)), rows),
    ]


def _training(card: ModelCard, has_plot: bool) -> list[str]:
    if card.training is None:
        return []
    return [
        "## Training",
        training_text(card),
        "![Loss and validation metrics by epoch](training_curve.png)" if has_plot else "",
    ]


def _limits(card: ModelCard) -> list[str]:
    if not card.known_limits:
        return []
    return ["## Known limits", "\n".join(f"* {escape(line)}" for line in card.known_limits)]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    first, rule, *others = (
        "| " + " | ".join(cell if cell == "---" else escape(cell) for cell in line) + " |"
        for line in lines
    )
    return "\n".join([first, rule, *others]) if others else ""
