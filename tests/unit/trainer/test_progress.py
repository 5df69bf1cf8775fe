from io import StringIO

from rich.console import Console

from recserve_trainer.evaluation.metrics import RankingMetrics
from recserve_trainer.progress import Progress
from recserve_trainer.report import results_table


def epochs_shown(*, terminal: bool) -> str:
    screen = StringIO()
    progress = Progress(Console(file=screen, force_terminal=terminal, width=100))
    with progress.epochs(3) as bar:
        bar.advance("best 0.1")
        bar.advance("best 0.2")
    return screen.getvalue()


def test_off_a_terminal_every_epoch_is_a_plain_line() -> None:
    lines = epochs_shown(terminal=False).splitlines()

    assert [line.split("  ")[:2] for line in lines] == [
        ["epoch 1/3", "best 0.1"],
        ["epoch 2/3", "best 0.2"],
    ]
    assert "\x1b" not in "".join(lines)


def test_on_a_terminal_there_is_a_bar_with_the_latest_summary() -> None:
    shown = epochs_shown(terminal=True)

    assert "2/3" in shown
    assert "best 0.2" in shown
    assert "━" in shown


def test_a_note_is_printed_as_it_stands() -> None:
    screen = StringIO()

    Progress(Console(file=screen)).note("films [1995] [bold]")

    assert screen.getvalue() == "films [1995] [bold]\n"


def test_the_results_name_every_scorer_and_metric() -> None:
    metrics = RankingMetrics(10, 943, 0.1, 0.2, 0.3, 0.4)
    screen = StringIO()

    Console(file=screen, width=100).print(results_table({"model": metrics, "popularity": metrics}))

    for text in ("943 users", "model", "popularity", "ndcg@10", "recall@10", "0.2000", "0.4000"):
        assert text in screen.getvalue()
