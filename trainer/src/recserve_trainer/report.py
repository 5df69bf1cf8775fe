"""Results for a person."""

from rich.box import SIMPLE_HEAD
from rich.table import Table

from recserve_trainer.evaluation.metrics import RankingMetrics


def results_table(metrics: dict[str, RankingMetrics]) -> Table:
    """Returns a table of scorers by metric on the test split, the model first."""
    user_count = next(iter(metrics.values())).user_count
    table = Table(
        title=f"test split, {user_count:,} users, seen items removed",
        title_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("scorer")
    for name in next(iter(metrics.values())).by_name():
        table.add_column(name, justify="right")
    for scorer, found in metrics.items():
        table.add_row(scorer, *(f"{value:.4f}" for value in found.by_name().values()))
    return table
