"""New versions of real models in processes of their own, and bad ones, while calls are answered."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from swapped_world import NO_RETRIES, Callers, Serve, Shelf, make_shelf, served, wait_until

from recserve_client import (
    HealthStatus,
    ModelState,
    RecommenderClient,
)

pytestmark = [pytest.mark.tensorflow, pytest.mark.slow]


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return make_shelf(tmp_path_factory.mktemp("shelf"))


@pytest.fixture
def models(tmp_path: Path, shelf: Shelf) -> Path:
    """A model directory with version 1."""
    (tmp_path / "models" / "films").mkdir(parents=True)
    shelf.put(tmp_path / "models", 1)
    return tmp_path / "models"


@pytest.mark.long
def test_a_new_version_takes_over_and_its_process_is_the_only_one_left(
    models: Path, shelf: Shelf, serve: Serve
) -> None:
    with served(serve, models) as server:
        [old] = server.children()
        with Callers(server.address, shelf) as callers:
            shelf.put(models, 2)
            wait_until(lambda: callers.versions.get(2, 0) > 20)
        wait_until(lambda: len(server.children()) == 1)

        assert server.children() != [old]
        assert (callers.failed, callers.wrong) == ([], [])
        assert set(callers.versions) == {1, 2}
        assert [each["version"] for each in server.logged("loaded a model version")] == [1, 2]
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0


@pytest.mark.long
@pytest.mark.timeout(900)
def test_twenty_new_versions_leave_nothing_behind(models: Path, shelf: Shelf, serve: Serve) -> None:
    with served(serve, models) as server, Callers(server.address, shelf) as callers:
        for version in range(2, 22):
            shelf.put(models, version)
            wait_until(lambda now=version: callers.versions.get(now, 0) > 5)
            wait_until(lambda: len(server.children()) == 1)
            if version == 3:  # by now everything has been used once
                before = server.resident_mib(), server.open_files(), server.threads()
            shutil.rmtree(models / "films" / str(version - 1))
        after = server.resident_mib(), server.open_files(), server.threads()

    assert (callers.failed, callers.wrong) == ([], [])
    assert sorted(callers.versions) == list(range(1, 22))
    assert after[0] <= before[0] + 15
    assert after[1] <= before[1] + 3
    assert after[2] <= before[2] + 3


def hash_again(folder: Path) -> None:
    """Makes the manifest list whatever files are there now."""
    path = folder / "manifest.json"
    files = [each for each in sorted(folder.rglob("*")) if each.is_file() and each != path]
    listed = [
        {
            "path": each.relative_to(folder).as_posix(),
            "size_bytes": str(each.stat().st_size),
            "sha256": hashlib.sha256(each.read_bytes()).hexdigest(),
        }
        for each in files
    ]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"files": listed}))


def cut_the_graph(folder: Path) -> None:
    graph = folder / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])


def lose_the_variables(folder: Path) -> None:
    shutil.rmtree(folder / "variables")


def cut_the_variables(folder: Path) -> None:
    [shard] = (folder / "variables").glob("*.data-*")
    shard.write_bytes(shard.read_bytes()[:100])


def expect_other_items(folder: Path) -> None:
    golden = json.loads((folder / "golden.json").read_text())
    for query in golden["queries"]:
        query["item_ids"] = ["i0"] * len(query["item_ids"])
    (folder / "golden.json").write_text(json.dumps(golden))


def break_the_tables(folder: Path) -> None:
    (folder / "items.arrow").write_bytes(b"ARROW1 and no more")


def replace_the_graph(folder: Path, function: str) -> None:
    """Puts a graph in place that has the right inputs and outputs and does something else."""
    import tensorflow as tf

    specs = {
        "user_rows": tf.TensorSpec([None], tf.int32, "user_rows"),
        "k": tf.TensorSpec([], tf.int32, "k"),
        "excluded": tf.TensorSpec([None, 2], tf.int32, "excluded"),
    }

    def recommend(user_rows: tf.Tensor, k: tf.Tensor, excluded: tf.Tensor) -> dict:
        rows = tf.tile(tf.range(k)[None], [tf.shape(user_rows)[0], 1])
        if function == "reads":
            size = tf.strings.length(tf.io.read_file("/etc/passwd"))
            rows += 0 * size
        if function == "fails":
            rows = tf.gather(rows, [10**6], axis=1)
        return {"item_rows": rows, "scores": -tf.cast(rows, tf.float32)}

    module = tf.Module()
    module.recommend = tf.function(recommend, input_signature=list(specs.values()))
    shutil.rmtree(folder / "variables")
    tf.saved_model.save(
        module,
        str(folder / "saved"),
        signatures=module.recommend if function == "nameless" else {"recommend": module.recommend},
    )
    shutil.copy(folder / "saved" / "saved_model.pb", folder)
    shutil.move(folder / "saved" / "variables", folder)
    shutil.rmtree(folder / "saved")


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "a graph cut short": (cut_the_graph, "saved_model.pb is no SavedModel"),
    "no variables": (lose_the_variables, "TensorFlow cannot load it"),
    "variables cut short": (cut_the_variables, "TensorFlow cannot load it"),
    "other golden queries": (expect_other_items, "of the items that its golden queries expect"),
    "tables that are none": (break_the_tables, "Not an Arrow file"),
    "a graph that reads files": (
        lambda folder: replace_the_graph(folder, "reads"),
        "operations that are not allowed: ReadFile",
    ),
    "a graph that fails when it runs": (
        lambda folder: replace_the_graph(folder, "fails"),
        "",  # TensorFlow's own words
    ),
    "a graph without the signature": (
        lambda folder: replace_the_graph(folder, "nameless"),
        "no signature recommend",
    ),
}


@pytest.mark.long
@pytest.mark.timeout(400)
def test_bad_versions_are_refused_with_a_reason_and_cost_no_call(
    models: Path, shelf: Shelf, serve: Serve
) -> None:
    with (
        served(serve, models) as server,
        Callers(server.address, shelf) as callers,
        RecommenderClient(server.address, timeout_s=30) as client,
    ):
        for version, (spoil, reason) in enumerate(BAD.values(), start=2):
            scratch = shutil.copytree(shelf.folders[version % 2], models / f".{version}")
            spoil(scratch)
            hash_again(scratch)
            manifest = json.loads((scratch / "manifest.json").read_text())
            (scratch / "manifest.json").write_text(
                json.dumps(manifest | {"model_version": str(version)})
            )
            scratch.rename(models / "films" / str(version))
            wait_until(lambda now=version: now in server.refused())
            model = client.get_model("films", version)
            assert model.state is ModelState.REFUSED
            assert reason in model.state_message
            assert model.state_message
            assert "ended before" not in model.state_message  # which says not why
            assert client.check_health() is HealthStatus.SERVING
            wait_until(lambda: len(server.children()) == 1)
        good = len(BAD) + 2
        shelf.put(models, good)
        wait_until(lambda: callers.versions.get(good, 0) > 5)

    assert (callers.failed, callers.wrong) == ([], [])
    assert set(callers.versions) == {1, good}
    assert server.refused() == list(range(2, good))
    problems = [each for each in server.log if each.get("level") in ("ERROR", "WARNING")]
    assert {each["message"] for each in problems} == {"refused a model version"}
    assert not [each for each in server.log if "Traceback" in json.dumps(each)]


@pytest.mark.long
def test_a_process_that_ends_and_whose_files_went_bad_gives_way_to_the_version_before(
    models: Path, shelf: Shelf, serve: Serve
) -> None:
    shelf.put(models, 2)
    with served(serve, models) as server:
        (models / "films" / "2" / "users.arrow").write_bytes(b"x")
        os.kill(server.children()[0], signal.SIGKILL)
        with RecommenderClient(server.address, timeout_s=30, config=NO_RETRIES) as client:
            wait_until(lambda: client.get_model("films", 2).state is ModelState.REFUSED)
            wait_until(lambda: client.check_health() is HealthStatus.SERVING)
            assert client.recommend("u1").model_version == 1

        (models / "films" / "1" / "users.arrow").write_bytes(b"x")
        os.kill(server.children()[0], signal.SIGKILL)
        assert server.process.wait(60) == 1
        wait_until(lambda: "no version of films can be served" in server.log[-1]["message"])


def serving(client: RecommenderClient) -> int:
    """Returns the newest version that answers, 0 for none."""
    models = client.list_models()
    return max((each.version for each in models if each.state is ModelState.SERVING), default=0)


@pytest.mark.long
def test_frugal_memory_has_one_model_process_at_any_time(
    models: Path, shelf: Shelf, serve: Serve
) -> None:
    with served(serve, models, "--memory-policy", "frugal") as server:
        most, over = 0, threading.Event()

        def count() -> None:
            nonlocal most
            while not over.wait(0.005):
                with contextlib.suppress(FileNotFoundError):
                    most = max(most, len(server.children()))

        counting = threading.Thread(target=count)
        counting.start()
        with RecommenderClient(server.address, timeout_s=30) as client:
            for version in (2, 3):
                shelf.put(models, version)
                wait_until(lambda now=version: serving(client) == now)
                assert client.recommend("u1").model_version == version
        over.set()
        counting.join()

    assert most == 1


@pytest.mark.long
def test_an_end_during_a_swap_leaves_no_process_behind(
    models: Path, shelf: Shelf, serve: Serve
) -> None:
    with served(serve, models) as server:
        shelf.put(models, 2)
        wait_until(lambda: len(server.children()) == 2)
        children = server.children()
        with RecommenderClient(server.address, timeout_s=30) as client:
            assert client.recommend("u1").model_version == 1

        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))
    assert not [each for each in server.log if "Traceback" in json.dumps(each)]
