import contextlib
import fcntl
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # for drawn.py

SMALL = "recserve_synthetic/60x50x1500@1"


@dataclass
class Program:
    """A program of ours, run as its users do."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    def wait_for(self, text: str, timeout_s: float = 90.0) -> str:
        """Returns the first line of standard output that holds `text`."""
        watchdog = threading.Timer(timeout_s, self.process.kill)
        watchdog.start()
        try:
            for line in self.process.stdout:
                self.lines.append(line)
                if text in line:
                    return line.strip()
        finally:
            watchdog.cancel()
        raise AssertionError(f"never printed {text!r}: {''.join(self.lines)}")

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(sent)
        return self.process.wait(60)


def command(module: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", module, *map(str, arguments)]


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tfds")


@dataclass(frozen=True)
class Trained:
    models_dir: Path
    ran: subprocess.CompletedProcess[str]

    @property
    def version_dir(self) -> Path:
        return self.models_dir / "films" / "1"


@pytest.fixture(scope="session")
def train(data_dir: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    def run(models_dir: Path, *arguments: object, through: Sequence[str] = ()):
        flags = ("--data-dir", data_dir, "--models", models_dir, "--dataset", SMALL, "--epochs", 4)
        return subprocess.run(
            [*through, *command("recserve_trainer", *flags, *arguments)],
            capture_output=True,
            text=True,
            timeout=100,
        )

    return run


@pytest.fixture(scope="session")
def trained(
    train: Callable[..., "subprocess.CompletedProcess[str]"],
    tmp_path_factory: pytest.TempPathFactory,
) -> Trained:
    """A model that is trained once, whichever worker needs it first; nobody may change it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    models_dir, ran = shared / "trained-models", shared / "trained-models.pickle"
    with (shared / "trained-models.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ran.exists():
            done = train(models_dir, "--name", "films", "--seed", 5)
            ran.write_bytes(pickle.dumps(done))
    return Trained(models_dir, pickle.loads(ran.read_bytes()))


@pytest.fixture(scope="session")
def serve() -> Callable[..., contextlib.AbstractContextManager[Program]]:
    @contextlib.contextmanager
    def run(*arguments: object) -> Iterator[Program]:
        with subprocess.Popen(
            command(
                "recserve_server", "--address", "127.0.0.1:0", "--admin-address", "", *arguments
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "default"},
        ) as process:
            try:
                yield Program(process)
            finally:
                process.kill()

    return run
