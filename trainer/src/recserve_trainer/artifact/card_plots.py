"""The pictures of a model card; the same card, the same bytes."""

from pathlib import Path
from typing import Final

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from recserve_trainer.artifact.model_card import MODEL, ModelCard, Result, Training

TRAINING_CURVE: Final = "training_curve.png"
PRECISION_RECALL: Final = "precision_recall.png"
_DOTS_PER_INCH: Final = 110
# Okabe & Ito, "Color universal design" (2008): told apart whatever colours the reader sees; line
# styles and markers say the same once more.
_STYLES: Final = (
    {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    {"color": "#D55E00", "linestyle": "--", "marker": "s"},
    {"color": "#009E73", "linestyle": "-.", "marker": "^"},
    {"color": "#CC79A7", "linestyle": ":", "marker": "D"},
)
_MARKED_LENGTHS: Final = (1, 5, 10, 20, 50)
_CURVES: Final = ("ndcg@", "recall@")


def write_plots(folder: Path, card: ModelCard) -> list[str]:
    """Writes what there is to draw into `folder`; returns the names of the files.

    Raises:
        OSError: a file cannot be written.
    """
    written: list[str] = []
    if card.training is not None and not card.training.is_single:
        _save(_training_curve(card.training), folder / TRAINING_CURVE)
        written.append(TRAINING_CURVE)
    if any(result.precision for result in card.results):
        _save(_precision_recall(card.results), folder / PRECISION_RECALL)
        written.append(PRECISION_RECALL)
    return written


def _precision_recall(results: tuple[Result, ...]) -> Figure:
    figure, (axes,) = _axes(1)
    for place, result in enumerate(each for each in results if each.precision):
        marked = [k - 1 for k in _MARKED_LENGTHS if k <= len(result.precision)]
        axes.plot(
            result.recall,
            result.precision,
            label=result.scorer,
            markevery=marked,
            **_STYLES[place % len(_STYLES)],  # type: ignore[arg-type]  # matplotlib takes kwargs
        )
        if result.scorer == MODEL:
            _name_lengths(axes, result, marked)
    axes.set_xlabel("recall: share of a user's held-out items in the list")
    axes.set_ylabel("precision: share of the list that is held out")
    axes.set_title("Lists of 1 to 50 items, mean over users")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.legend(title="scorer")
    return figure


def _name_lengths(axes: Axes, result: Result, marked: list[int]) -> None:
    for place in marked:
        axes.annotate(
            f"k = {place + 1}",
            (result.recall[place], result.precision[place]),
            xytext=(-2, -15),
            textcoords="offset points",
            fontsize=8,
        )


def _training_curve(training: Training) -> Figure:
    ranked = [name for name in training.curve[0] if name.startswith(_CURVES)]
    has_loss = any(epoch.get("loss") is not None for epoch in training.curve)
    panels = [["loss"]] * has_loss + [ranked] * bool(ranked)
    figure, panel_axes = _axes(max(1, len(panels)))
    for axes, names in zip(panel_axes, panels, strict=False):
        for place, name in enumerate(names):
            _plot_epochs(axes, training, name, place)
        axes.axvline(training.kept_epoch, color="#555555", linewidth=1, label="epoch kept")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        is_loss = names == ["loss"]
        axes.set_ylabel("training loss" if is_loss else "metric on the validation split")
        axes.set_title("Loss" if is_loss else "Validation")
        axes.legend()
    return figure


def _plot_epochs(axes: Axes, training: Training, name: str, place: int) -> None:
    points = [
        (epoch, value)
        for epoch, logged in enumerate(training.curve, start=1)
        if (value := logged.get(name)) is not None
    ]
    axes.plot(
        [epoch for epoch, _ in points],
        [value for _, value in points],
        label=name,
        markersize=3,
        **_STYLES[place % len(_STYLES)],  # type: ignore[arg-type]  # matplotlib takes kwargs
    )


def _axes(panels: int) -> tuple[Figure, list[Axes]]:
    # Without pyplot: nothing is shared between threads, and no screen is looked for.
    figure = Figure(
        figsize=(6.5 if panels == 1 else 10, 4.3), facecolor="white", layout="constrained"
    )
    FigureCanvasAgg(figure)
    made = [figure.add_subplot(1, panels, place + 1) for place in range(panels)]
    for axes in made:
        axes.grid(color="#dddddd", linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, made


def _save(figure: Figure, path: Path) -> None:
    # A reader's own matplotlibrc must not change the picture, nor its version the bytes.
    with rc_context({"savefig.dpi": _DOTS_PER_INCH, "text.usetex": False}):
        figure.savefig(path, format="png", metadata={"Software": None})
