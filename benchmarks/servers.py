"""Starts servers as processes, measures their memory, and stops them whatever happens."""

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Comes with tensorflow-datasets, which recserve-trainer needs.
import psutil

HERE = Path(__file__).parent
RIVALS = HERE / "rivals"
_START_LIMIT_S = 300.0
_STOP_LIMIT_S = 30.0


class ServerError(Exception):
    """A server did not start or ended early; the text says where its log is."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a process and all its descendants hold, bytes."""

    resident: int
    """Sum of the resident sets: pages that processes share count in each of them."""
    proportional: int
    """Sum of the proportional sets: shared pages count once."""
    processes: int


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers."""

    name: str
    target: str
    """HOST:PORT."""
    start_s: float
    """From the start of the process to its line that it is ready."""
    process: psutil.Process

    def memory(self) -> Memory:
        """Reads the memory of the whole process tree; processes that end meanwhile are left out."""
        found = []
        for each in _tree(self.process):
            with contextlib.suppress(psutil.NoSuchProcess):
                found.append(each.memory_full_info())
        return Memory(sum(each.rss for each in found), sum(each.pss for each in found), len(found))

    def cpu_s(self) -> float:
        """Reads the processor time, user and system, that the whole process tree has had."""
        found = 0.0
        for each in _tree(self.process):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                found += times.user + times.system
        return found


def unwind_on_sigterm() -> None:
    """Makes SIGTERM end this program as Ctrl-C does: after its servers."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@contextlib.contextmanager
def floor(answer: Path, logs: Path, delay_ms: float = 0.0) -> Iterator[Server]:
    """Runs the floor, which answers every call with the bytes in `answer`, after `delay_ms`."""
    command = [sys.executable, str(HERE / "floor.py"), "--answer", str(answer)]
    command += ["--delay-ms", str(delay_ms)]
    with _running("floor", command, logs, _last_word) as server:
        yield server


@contextlib.contextmanager
def recserve(
    models: Path, logs: Path, options: Sequence[str] = (), *, source: Path | None = None
) -> Iterator[Server]:
    """Runs recserve-serve on the only model in `models`, of the tree `source` if that is given."""
    command = [sys.executable, "-m", "recserve_server", "--models", str(models)]
    command += ["--address", "127.0.0.1:0", "--log-level", "warning", *options]
    environment = dict(os.environ)
    if source is not None:
        parts = (str(source / part / "src") for part in ("server", "client"))
        environment |= {"PYTHONPATH": os.pathsep.join(parts), "PYTHONSAFEPATH": "1"}
    with _running("recserve", command, logs, _last_word, environment) as server:
        yield server


@contextlib.contextmanager
def rival(name: str, version: Path, logs: Path) -> Iterator[Server]:
    """Runs a server of benchmarks/rivals in its own environment on one model version."""
    port = _free_port()
    command = [str(rival_python(name)), str(RIVALS / name / "serve.py")]
    command += ["--model", str(version.resolve()), "--port", str(port)]
    with _running(name, command, logs, lambda _: str(port)) as server:
        yield server


def rival_python(name: str) -> Path:
    """Returns the interpreter of a rival, which is there once the rival is built."""
    return RIVALS / name / ".venv" / "bin" / "python"


@contextlib.contextmanager
def _running(
    name: str,
    command: Sequence[str],
    logs: Path,
    port_of: Callable[[str], str],
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Runs a program that prints one line when it is ready, of which `port_of` makes its port."""
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    start_s = time.monotonic()
    with log.open("wb") as errors, contextlib.ExitStack() as stack:
        process = psutil.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
        )
        stack.callback(_stop, process)
        ready = _first_line(process, start_s + _START_LIMIT_S)
        if not ready:
            took = f"{time.monotonic() - start_s:.0f} s"
            raise ServerError(f"{name} was not ready after {took}, or ended: see {log}")
        took_s = time.monotonic() - start_s
        target = f"127.0.0.1:{port_of(ready)}"
        yield Server(name, target, took_s, psutil.Process(process.pid))
        if process.poll() is not None:
            raise ServerError(f"{name} ended with {process.returncode}: see {log}")


def _first_line(process: psutil.Popen, limit_s: float) -> str:
    """Returns the first line of standard output, "" if it ends or takes too long."""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(limit_s - time.monotonic()):
            return ""
    return str(process.stdout.readline().decode().strip())


def _last_word(line: str) -> str:
    """Returns the port in `ready PORT` or `serving NAME version V on HOST:PORT`."""
    return line.split()[-1].rpartition(":")[2]


def _stop(process: psutil.Popen) -> None:
    """Sends SIGTERM; what is left of the process tree after a while is killed."""
    tree = _tree(process)
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
    _, left = psutil.wait_procs(tree, timeout=_STOP_LIMIT_S)
    for each in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(left, timeout=5)
    process.stdout.close()


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
