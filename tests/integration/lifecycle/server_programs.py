"""Servers as programs: started with flags, told by signals, judged by exit codes and their log."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Program:
    process: "subprocess.Popen[str]"
    log: Path

    def wait_until_serving(self) -> str:
        """Returns the address once a model is served."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("serving "), f"{line!r}\n{self.log.read_text()}"
        return line.split()[-1]

    def logged(self, message: str) -> list[dict]:
        """Returns the records with a message."""
        lines = self.log.read_text().splitlines()
        records = [json.loads(line) for line in lines if line.startswith("{")]
        return [each for each in records if each["message"] == message]

    def wait_for(self, message: str, times: int = 1) -> dict:
        """Returns the record once something was logged so often."""
        wait_until(lambda: len(self.logged(message)) >= times)
        return self.logged(message)[times - 1]

    def send(self, sent: signal.Signals) -> None:
        self.process.send_signal(sent)

    def stop(self, sent: signal.Signals = signal.SIGTERM) -> int:
        """Returns the exit code."""
        self.send(sent)
        return self.process.wait(30)

    def last_line(self) -> str:
        """Returns the last line of standard error."""
        return self.log.read_text().splitlines()[-1]


def wait_until(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "it never came true"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def program(
    folder: Path,
    *flags: object,
    batch_s: float = 0.0,
    load_s: float = 0.0,
    address: str = "127.0.0.1:0",
) -> Iterator[Program]:
    """Runs a server of the models in `folder`/models that looks at them ten times a second."""
    script, log = Path(__file__).parent / "numpy_server.py", folder / f"log-{time.monotonic_ns()}"
    command = [sys.executable, script, batch_s, load_s, "--models", folder / "models"]
    command += ["--address", address, "--admin-address", "", "--log-format", "json", *flags]
    if "--poll-interval" not in flags:
        command += ["--poll-interval", 0.1]
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [*map(str, command)],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "default"},
        ) as process,
    ):
        try:
            yield Program(process, log)
        finally:
            process.kill()
