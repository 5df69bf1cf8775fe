"""From argv to a TrainConfig and back to an exit code; training itself is in tests/e2e."""

import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recserve_trainer import __main__ as program
from recserve_trainer.commands import train as train_command
from recserve_trainer.config import TrainConfig
from recserve_trainer.errors import DatasetError

DEFAULTS = {
    "--dataset": "auto",
    "--data-dir": "/prepared",
    "--archive": None,
    "--schema": None,
    "--bad-rows": "fail",
    "--models": "models",
    "--name": "films",
    "--logs": None,
    "--model": "collaborative",
    "--index": "auto",
    "--min-index-recall": "0.95",
    "--seed": "the family's",
    "--epochs": "the family's",
    "--patience": "the family's",
    "--batch-size": "the family's",
    "--learning-rate": "the family's",
    "--l2": "the family's",
    "--embedding-dimension": "the family's",
    "--set": "[]",
    "--validation-share": "0.1",
    "--test-share": "0.1",
    "--refit": "True",
}


@pytest.fixture(autouse=True)
def untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Gives a known environment and undoes what `main` sets for its process."""
    monkeypatch.setenv("TFDS_DATA_DIR", "/prepared")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def configs(monkeypatch: pytest.MonkeyPatch) -> list[TrainConfig]:
    """What `main` would have trained with: the training would import TensorFlow."""
    configs: list[TrainConfig] = []
    monkeypatch.setattr(train_command, "train", configs.append)
    return configs


def test_help_names_every_flag_and_ends_with_its_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped:
        program.main(["--help"])

    assert stopped.value.code == 0
    options = capsys.readouterr().out.partition("\noptions:")[2]
    # A flag and its explanation, up to the next flag, the next group or the epilog.
    told = dict(re.findall(r"^  (--[a-z0-9-]+)(.*?)(?=^  -|^\S|\Z)", options, re.M | re.S))
    assert set(told) == {*DEFAULTS, "--version", "--traceback"}
    for flag, default in DEFAULTS.items():
        text = " ".join(told[flag].split())
        assert text.endswith(f"(default: {default})"), text


def test_without_flags_the_defaults_are_those_that_help_tells(configs: list[TrainConfig]) -> None:
    assert program.main([]) == 0

    [config] = configs
    assert config.dataset.data_dir == Path("/prepared")
    assert (config.dataset.name, config.dataset.archive) == ("auto", None)
    assert (config.models_dir, config.name, config.logs_dir) == (Path("models"), "films", None)


def test_without_the_variable_data_sets_are_kept_in_the_home_folder(
    configs: list[TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", "/home/somebody")

    program.main([])

    assert configs[0].dataset.data_dir == Path("/home/somebody/tensorflow_datasets")


def test_every_flag_reaches_its_own_setting(configs: list[TrainConfig]) -> None:
    flags = {
        "--dataset": "movielens/1m",
        "--data-dir": "d",
        "--archive": "a.zip",
        "--models": "m",
        "--name": "n",
        "--logs": "l",
        "--index": "scann",
        "--min-index-recall": "0.7",
        "--seed": "1",
        "--epochs": "2",
        "--patience": "3",
        "--batch-size": "4",
        "--learning-rate": "0.5",
        "--l2": "0.6",
        "--embedding-dimension": "7",
        "--validation-share": "0.08",
        "--test-share": "0.09",
    }

    assert program.main([word for flag in flags.items() for word in flag]) == 0

    [config] = configs
    fit, split, dataset = config.fit, config.split, config.dataset
    assert (dataset.name, dataset.data_dir) == ("movielens/1m", Path("d"))
    assert dataset.archive == Path("a.zip")
    assert (config.models_dir, config.name, config.logs_dir) == (Path("m"), "n", Path("l"))
    assert (config.index.kind, config.index.min_recall) == ("scann", 0.7)
    assert (fit.seed, fit.epochs, fit.patience, fit.batch_size) == (1, 2, 3, 4)
    assert (fit.learning_rate, fit.l2, fit.embedding_dimension) == (0.5, 0.6, 7)
    assert (split.validation_share, split.test_share) == (0.08, 0.09)


def test_flags_for_own_tables_reach_their_settings(configs: list[TrainConfig]) -> None:
    program.main(["--dataset", "csv:d", "--schema", "s.json", "--bad-rows", "skip", "--no-refit"])

    [config] = configs
    assert (config.dataset.schema, config.dataset.bad_rows) == (Path("s.json"), "skip")
    assert config.refit is False


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--batch-size", "1"], "batch_size is 1, must be 2 or more"),
        (["--learning-rate", "0"], "learning_rate is 0.0, must be above 0, at most 1"),
        (["--learning-rate", "nan"], "learning_rate is 'nan', must be of type float"),
        (["--set", "depth=3"], "there is no setting 'depth', only "),
        (["--set", "depth"], "--set takes NAME=VALUE, not 'depth'"),
        (["--l2", "101"], "l2 is 101.0, must be from 0 to 100"),
        (["--test-share", "0.5"], "test_share is 0.5, must be above 0 and below 0.5"),
        (["--seed", "-1"], "seed is -1, must be from 0 to 2147483647"),
        (["--epochs", "many"], "epochs is 'many', must be of type int"),
        (["--index", "annoy"], "argument --index: invalid choice: 'annoy'"),
        (["--min-index-recall", "2"], "min_index_recall is 2.0, must be from 0 to 1"),
    ],
)
def test_a_bad_value_is_wrong_usage_told_in_one_line(
    configs: list[TrainConfig],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    with pytest.raises(SystemExit) as stopped:
        program.main(arguments)

    lines = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2
    assert lines[0].startswith("usage: recserve-train")
    assert [said in line for line in lines].count(True) == 1
    assert said in lines[-1]
    assert configs == []


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DatasetError("no such archive"), "no such archive"),
        (KeyboardInterrupt(), "interrupted, nothing was published"),
        (
            RuntimeError("first line\nsecond line"),
            "RuntimeError: first line; nothing was published (--traceback for more)",
        ),
    ],
)
def test_a_failure_is_one_line_and_exit_code_one(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    line: str,
) -> None:
    def fail(config: TrainConfig) -> None:
        raise error

    monkeypatch.setattr(train_command, "train", fail)

    assert program.main([]) == 1

    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"recserve-train: {line}\n")


@pytest.mark.tensorflow  # as far as importing it goes, the library is looked for before the data
def test_scann_where_it_is_not_installed_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "scann", None)
    monkeypatch.setitem(sys.modules, "recserve_trainer.pipeline", None)  # must not be reached
    monkeypatch.chdir(tmp_path)

    assert program.main(["--index", "scann", "--models", "models"]) == 1

    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("recserve-train: the scann index cannot be used here (")
    assert "pip install 'recserve-trainer[scann]'" in line
    assert list(tmp_path.iterdir()) == []


def test_with_traceback_the_failure_is_shown_above_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(config: TrainConfig) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train_command, "train", fail)

    assert program.main(["--traceback"]) == 1

    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said
    assert said.splitlines()[-1] == "recserve-train: interrupted, nothing was published"


def test_an_unknown_command_is_wrong_usage_told_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert program.main(["serve", "--models", "m"]) == 2

    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("recserve-train: there is no command 'serve', only train, benchmark,")
