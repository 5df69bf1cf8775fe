"""The flags of `recserve-train benchmark`: what is refused before anything is read."""

from pathlib import Path

import pytest

from recserve_trainer.commands import benchmark
from recserve_trainer.errors import UsageError
from recserve_trainer.evaluation.published import PUBLISHED

ARCHIVE = ("--archive", "ml-100k.zip")


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--baselines", "ease,magic"), "baselines is 'magic', must be of random, popularity"),
        (("--baselines", ""), "baselines is '', must be of"),
        (("--k", "0"), "k is 0, must be 1 or more"),
        (("--seed", "-1"), "seed is -1, must be from 0 to 4294967295"),
        (("--set", "epochs"), "--set takes NAME=VALUE, not 'epochs'"),
        (("--set", "magic=1"), "there is no setting 'magic'"),
        (("--model-seed", "x"), "seed is 'x', must be of type int"),
        (("--min-index-recall", "2"), "min_index_recall is 2.0, must be from 0 to 1"),
        (("--json", "/no/such/folder/a.json"), "there is no folder /no/such/folder"),
        (("--dump", "/no/such/folder/a.csv"), "there is no folder /no/such/folder"),
    ],
)
def test_a_flag_out_of_range_is_wrong_usage(flags: tuple[str, ...], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        benchmark.run(benchmark.parser().parse_args([*ARCHIVE, *flags]))

    assert told in str(caught.value)


def test_the_archive_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        benchmark.parser().parse_args([])

    assert "--archive" in capsys.readouterr().err


def test_help_can_be_shown_and_names_the_splits(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        benchmark.parser().parse_args(["--help"])

    shown = capsys.readouterr().out
    for word in ("new-users", "--dump", "--model-seed", "(default: 42)"):
        assert word in shown


def test_paths_may_start_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")

    arguments = benchmark.parser().parse_args(["--archive", "~/ml-100k.zip"])

    assert arguments.archive == Path("/home/somebody/ml-100k.zip")


def test_published_rows_stand_from_the_worst_to_the_best() -> None:
    for rows in PUBLISHED.values():
        assert [row.ndcg for row in rows] == sorted(row.ndcg for row in rows)
        assert len({row.model for row in rows}) == len(rows)
