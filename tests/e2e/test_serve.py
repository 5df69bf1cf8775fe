"""Train, export, serve as a process, ask through SDK and command line: one real path."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from recserve_client import AsyncRecommenderClient, RecommenderClient
from recserve_trainer.evaluation.metrics import top_k

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]

Serve = Callable[..., AbstractContextManager]


def table(path: Path) -> dict[str, list]:
    return pa.ipc.open_file(str(path)).read_all().to_pydict()


def brute_force(version_dir: Path, k: int) -> dict[str, tuple[list[str], list[float]]]:
    """Ranks every user in NumPy, from nothing but the variables and tables on disk."""
    items, users = table(version_dir / "items.arrow"), table(version_dir / "users.arrow")
    checkpoint = tf.train.load_checkpoint(str(version_dir / "variables" / "variables"))
    names = [name for name, _ in tf.train.list_variables(str(version_dir / "variables/variables"))]
    tensor = lambda part: checkpoint.get_tensor(next(n for n in names if part in n))  # noqa: E731
    scores = tensor("user_embeddings") @ tensor("item_embeddings").T
    for row, history in enumerate(users["history"]):
        scores[row, history] = -np.inf
    ranked = top_k(scores, k)
    return {
        user_id: (
            [items["item_id"][item] for item in ranked[row] if item >= 0],
            [float(scores[row, item]) for item in ranked[row] if item >= 0],
        )
        for row, user_id in enumerate(users["user_id"])
    }


@pytest.fixture(scope="module")
def address(trained: object, serve: Serve) -> Iterator[str]:
    assert trained.ran.returncode == 0, trained.ran.stderr
    with serve("--models", trained.models_dir) as program:
        ready = program.wait_for("serving")
        assert ready.startswith("serving films version 1 on 127.0.0.1:")
        yield ready.rpartition(" ")[2]
        assert program.stop() == 0


def recserve(address: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "recserve_client", *map(str, arguments), "--target", address]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


async def test_every_user_is_served_what_a_brute_force_ranks(address: str, trained: object) -> None:
    expected = brute_force(trained.version_dir, k=12)
    async with AsyncRecommenderClient(address, timeout_s=20) as client:
        answers = await asyncio.gather(*(client.recommend(user, k=12) for user in expected))

    for answer in answers:
        item_ids, scores = expected[answer.user_id]
        assert [item.item_id for item in answer] == item_ids
        assert [item.score for item in answer] == pytest.approx(scores, rel=1e-5, abs=1e-6)


def test_nothing_seen_comes_back_until_it_is_asked_for(address: str, trained: object) -> None:
    users = table(trained.version_dir / "users.arrow")
    items = table(trained.version_dir / "items.arrow")["item_id"]
    seen = {items[row] for row in users["history"][users["user_id"].index("42")]}
    with RecommenderClient(address, timeout_s=20) as client:
        unseen = {item.item_id for item in client.recommend("42", k=50)}
        everything = {item.item_id for item in client.recommend("42", k=50, include_seen=True)}

    assert seen
    assert unseen == everything - seen
    assert everything == set(items)


def test_the_command_line_prints_one_json_object(address: str) -> None:
    ran = recserve(address, "recommend", "--user", 42, "-k", 3, "--json")

    answer = json.loads(ran.stdout)
    assert ran.returncode == 0
    assert answer["user_id"] == "42"
    assert (answer["source"], answer["model_name"], answer["model_version"]) == (
        "user_id",
        "films",
        1,
    )
    assert len({item["item_id"] for item in answer["items"]}) == 3
    assert all(item["title"] and item["score"] for item in answer["items"])


def test_models_and_health_are_told_as_json(address: str) -> None:
    [model] = json.loads(recserve(address, "models", "--json").stdout)["models"]
    health = json.loads(recserve(address, "health", "--json").stdout)

    assert (model["name"], model["version"], model["state"]) == ("films", 1, "serving")
    assert model["test_metrics"]["ndcg@10"] > 0
    assert health["status"] == "serving"


def test_a_port_in_use_is_refused_in_one_line(address: str, trained: object) -> None:
    ran = recserve_serve("--models", trained.models_dir, "--address", address)

    assert ran.returncode == 1
    assert ran.stderr == f"recserve-serve: cannot listen on {address}: is the port in use?\n"


def recserve_serve(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "recserve_server", "--admin-address", ""]
    command += map(str, arguments)
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_an_empty_models_folder_is_told_in_one_line(tmp_path: Path) -> None:
    ran = recserve_serve("--models", tmp_path, "--address", "127.0.0.1:0")

    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith(f"recserve-serve: {tmp_path} holds no model")
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("arguments", [[], ["--models", ".", "--address", "nowhere"]])
def test_wrong_usage_is_exit_code_two(arguments: list[str]) -> None:
    ran = recserve_serve(*arguments)

    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr


@pytest.mark.long
def test_a_tampered_version_gives_way_to_the_one_before(
    trained: object, serve: Serve, tmp_path: Path
) -> None:
    for version in ("1", "2"):
        subprocess.run(["cp", "-r", trained.version_dir, tmp_path / version], check=True)
    models = tmp_path / "models"
    (models / "films").mkdir(parents=True)
    (tmp_path / "1").rename(models / "films" / "1")
    (tmp_path / "2").rename(models / "films" / "2")
    manifest = models / "films" / "2" / "manifest.json"
    manifest.write_text(
        manifest.read_text().replace('"model_version": "1"', '"model_version": "2"')
    )
    (models / "films" / "2" / "saved_model.pb").write_bytes(b"not what was published")

    with serve("--models", models) as program:
        ready = program.wait_for("serving")
        assert ready.startswith("serving films version 1 on ")
        listed = json.loads(recserve(ready.rpartition(" ")[2], "models", "--json").stdout)
        assert program.stop(signal.SIGINT) == 0

    states = {model["version"]: model["state"] for model in listed["models"]}
    assert states == {1: "serving", 2: "refused"}


@pytest.mark.long
def test_a_stop_while_loading_ends_in_order(trained: object, serve: Serve) -> None:
    with serve("--models", trained.models_dir, "--log-level", "debug") as program:
        for line in program.process.stderr:
            if "listening" in line:
                break

        assert program.stop() == 0
        assert "serving" not in program.process.stdout.read()


def modules_after(program: str) -> set[str]:
    """Runs a program in a fresh process; returns the top-level modules that it has loaded."""
    program += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return set(ran.stdout.split())


@pytest.mark.long
def test_the_model_process_imports_neither_training_libraries_nor_grpc(trained: object) -> None:
    loaded = modules_after(f"""
from pathlib import Path
from recserve_server.model_process.messages import Opening
from recserve_server.model_process.__main__ import _open
from recserve_server.query import Query
from recserve_server.models.artifact import VersionPath, read_manifest
folder = Path({str(trained.version_dir)!r})
manifest = read_manifest(VersionPath("films", 1, folder)).SerializeToString()
model, _ = _open(Opening(folder, manifest, (1, 2), 50, "info", "text"))
assert isinstance(model.answer([Query("42", 3)])[0], bytes)
""")

    heavy = {"keras", "tf_keras", "tensorflow_recommenders", "tensorflow_datasets"}
    assert "tensorflow" in loaded
    assert not loaded & {*heavy, "grpc"}


def test_the_server_process_imports_no_tensorflow() -> None:
    loaded = modules_after("import recserve_server.lifecycle")

    assert "grpc" in loaded
    assert not loaded & {"tensorflow", "pyarrow"}
