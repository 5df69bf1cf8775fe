"""recserve-train as its users run it."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

Train = Callable[..., "subprocess.CompletedProcess[str]"]


def reason(ran: "subprocess.CompletedProcess[str]") -> str:
    """The one line that says why; there must be exactly one, and no traceback."""
    assert "Traceback" not in ran.stderr
    [line] = [line for line in ran.stderr.splitlines() if line.startswith("recserve-train: ")]
    return line


def recserve_train(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "recserve_trainer", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_help_explains_every_flag_with_its_default() -> None:
    text = " ".join(recserve_train("--help").stdout.split())

    for flag, default in (
        ("--dataset", "auto"),
        ("--models", "models"),
        ("--name", "films"),
        ("--model", "collaborative"),
        ("--index", "auto"),
        ("--seed", "the family's"),
        ("--epochs", "the family's"),
        ("--batch-size", "the family's"),
    ):
        assert flag in text
        assert f"(default: {default})" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--epocs", "3"], "unrecognized arguments"),
        (["--model", "magic"], "invalid choice: 'magic'"),
        (["--dataset", "imdb/1"], "dataset is 'imdb/1', must be auto, movielens/100k"),
        (["--epochs", "0"], "epochs is 0, must be 1 or more"),
        (["--name", "a/b"], "name is 'a/b', must be"),
    ],
)
def test_wrong_usage_is_told_before_anything_starts(arguments: list[str], said: str) -> None:
    ran = recserve_train(*arguments)

    assert ran.returncode == 2
    assert said in ran.stderr.splitlines()[-1]


@pytest.mark.long
def test_a_missing_archive_is_told_in_one_line(tmp_path: Path) -> None:
    ran = recserve_train("--data-dir", tmp_path, "--archive", tmp_path / "ml-100k.zip")

    assert ran.returncode == 1
    assert reason(ran).endswith("ml-100k.zip does not exist")


def test_a_run_publishes_a_version_and_says_where(trained: object) -> None:
    assert trained.ran.returncode == 0, trained.ran.stderr
    last = trained.ran.stdout.splitlines()[-1]
    assert last == f"published films version 1: {trained.version_dir}"
    assert "popularity" in trained.ran.stdout
    assert "epoch 4/4" in trained.ran.stderr


@pytest.mark.long
def test_tensorboard_finds_the_curves(trained: object) -> None:
    logs = trained.models_dir / "films" / "logs"
    tool = Path(sys.executable).with_name("tensorboard")
    ran = subprocess.run(
        [tool, "--inspect", "--logdir", logs], capture_output=True, text=True, timeout=60
    )

    assert ran.returncode == 0, ran.stderr
    for name in ("ndcg_at_10", "recall_at_10", "loss", "top_10_categorical_accuracy"):
        assert name in ran.stdout


def test_the_manifest_tells_what_was_done(trained: object) -> None:
    manifest = json.loads((trained.version_dir / "manifest.json").read_text())

    assert manifest["dataset"]["name"] == "recserve_synthetic/60x50x1500-s1"
    assert manifest["dataset"]["train_count"] + 2 * manifest["dataset"]["test_count"] == 1500
    assert manifest["training_arguments"]["seed"] == "5"
    scorers = {each["scorer"] for each in manifest["evaluations"]}
    assert scorers == {"model", "popularity", "ease"}
    assert manifest["library_versions"]["tensorflow"].startswith("2.20")


def test_the_report_is_a_page_about_the_version(trained: object, tmp_path: Path) -> None:
    page = tmp_path / "page.html"

    ran = recserve_train("report", "--models", trained.models_dir, "--out", page)

    assert (ran.returncode, ran.stdout) == (0, f"{page}\n"), ran.stderr
    text = page.read_text()
    manifest = json.loads((trained.version_dir / "manifest.json").read_text())
    assert manifest["dataset"]["split_sha256"] in text
    assert "films" in text
    assert "popularity" in text
    assert "data:image/png;base64," in text


@pytest.mark.long
def test_the_same_seed_gives_the_same_numbers(
    trained: object, train: Train, tmp_path: Path
) -> None:
    again = train(tmp_path, "--name", "films", "--seed", 5)

    assert again.returncode == 0, again.stderr
    files = [folder / "films/1/manifest.json" for folder in (trained.models_dir, tmp_path)]
    one, other = (json.loads(file.read_text()) for file in files)
    assert one["evaluations"] == other["evaluations"]
    assert one["dataset"] == other["dataset"]


@pytest.mark.long
def test_tensorflows_own_tool_reads_the_signatures(trained: object) -> None:
    tool = Path(sys.executable).with_name("saved_model_cli")
    ran = subprocess.run(
        [
            tool,
            "show",
            "--dir",
            trained.version_dir,
            "--tag_set=serve",
            "--signature_def=recommend",
        ],
        capture_output=True,
        text=True,
    )

    for name in ("user_rows", "k", "excluded", "item_rows", "scores"):
        assert f"['{name}'] tensor_info" in ran.stdout


@pytest.mark.long
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing_and_says_so(
    trained: object, data_dir: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    arguments = ["--data-dir", data_dir, "--models", tmp_path, "--epochs", 10_000]
    arguments += ["--dataset", "recserve_synthetic/60x50x1500@1", "--patience", 10_000]
    command = [sys.executable, "-m", "recserve_trainer", *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("epoch 2/"):
                process.send_signal(sent)
                break
        said.append(process.stderr.read())

    assert process.returncode == 1
    ran = subprocess.CompletedProcess(command, 1, "", "".join(said))
    assert reason(ran) == "recserve-train: interrupted, nothing was published"
    assert {path.name for path in (tmp_path / "films").iterdir()} == {"logs"}
