"""Workers as processes on loopback against one process, on the same interactions."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recserve_trainer.errors import TrainerError
from recserve_trainer.learning import distribution

pytestmark = [pytest.mark.tensorflow, pytest.mark.long, pytest.mark.timeout(240)]

WORKER = Path(__file__).with_name("train_worker.py")


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def start(out: Path, tf_config: str | None = None) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
    env |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    if tf_config is not None:
        env["TF_CONFIG"] = tf_config
    return subprocess.Popen(
        [sys.executable, str(WORKER), str(out)], env=env, stderr=subprocess.PIPE, text=True
    )


def results(
    processes: list[subprocess.Popen[str]], outs: list[Path]
) -> list[dict[str, np.ndarray]]:
    try:
        errors = [process.communicate(timeout=200)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, error in zip(processes, errors, strict=True):
        assert process.returncode == 0, error[-3000:]
    return [dict(np.load(out)) for out in outs]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, np.ndarray]]:
    """What came of one process alone, and of the first and the second of two."""
    folder = tmp_path_factory.mktemp("workers")
    outs = [folder / f"{name}.npz" for name in ("alone", "first", "second")]
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    configs = [
        json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})
        for index in range(2)
    ]
    processes = [start(out, config) for out, config in zip(outs, [None, *configs], strict=True)]
    return results(processes, outs)


def test_two_workers_make_the_steps_and_the_losses_of_one(
    trained: list[dict[str, np.ndarray]],
) -> None:
    alone, *cluster = trained

    assert [int(worker["workers"]) for worker in trained] == [1, 2, 2]
    for worker in cluster:
        assert worker["steps"] == alone["steps"] == 3 * 16
        np.testing.assert_allclose(worker["losses"], alone["losses"], rtol=1e-4)
    assert alone["losses"][-1] < 0.95 * alone["losses"][0]  # there was something to learn


def test_two_workers_learn_the_vectors_of_one(trained: list[dict[str, np.ndarray]]) -> None:
    alone, first, second = trained

    for name in ("users", "items"):
        assert np.array_equal(first[name], second[name])
        np.testing.assert_allclose(first[name], alone[name], rtol=1e-3, atol=1e-4)


def test_one_worker_is_the_chief(trained: list[dict[str, np.ndarray]]) -> None:
    assert [bool(worker["is_chief"]) for worker in trained] == [True, True, False]


def test_several_workers_refuse_a_family_that_they_cannot_train(
    trained: list[dict[str, np.ndarray]],
) -> None:
    alone, *cluster = trained

    assert str(alone["refusal"]) == ""
    for worker in cluster:
        assert str(worker["refusal"]) == (
            "several workers cannot train popularity, only collaborative or textbook; "
            "unset TF_CONFIG"
        )


@pytest.mark.parametrize(
    ("tf_config", "told"),
    [
        ('{"cluster": ', "TF_CONFIG cannot be read: "),
        (
            '{"cluster": {"ps": ["127.0.0.1:1"], "worker": ["127.0.0.1:2"]}}',
            "TF_CONFIG lists ps; only chief and worker can train",
        ),
    ],
)
def test_a_cluster_that_cannot_train_is_told(
    monkeypatch: pytest.MonkeyPatch, tf_config: str, told: str
) -> None:
    monkeypatch.setenv("TF_CONFIG", tf_config)

    with pytest.raises(TrainerError, match=told):
        distribution.strategy.__wrapped__()
