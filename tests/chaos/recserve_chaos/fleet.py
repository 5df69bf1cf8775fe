"""Replicas of `recserve-serve` as processes, and what can be done to them."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

HOST = "127.0.0.1"


@dataclass
class Replica:
    """One server on an address of its own, which it keeps over restarts."""

    name: str
    port: int
    flags: Sequence[str]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None
    _seen: set[int] = field(default_factory=set)
    """Pids of all model processes; a stopped one outlives its server."""

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return f"{HOST}:{self.port}"

    @property
    def is_running(self) -> bool:
        """Whether the server's process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Of the last process; None while it runs."""
        return None if self._process is None else self._process.poll()

    def start(self) -> None:
        """Starts the server; does not wait for it."""
        command = [sys.executable, "-m", "recserve_server", "--address", self.address, *self.flags]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, **self.env}
            )

    def signal(self, sent: signal.Signals) -> None:
        """Sends a signal to the server, not to its model."""
        if self.is_running:
            self.processes()
            self._process.send_signal(sent)

    def wait(self, timeout_s: float) -> int:
        """Waits for the server's end; returns its exit code."""
        return self._process.wait(timeout_s)

    def processes(self) -> list[psutil.Process]:
        """Returns the server and its model processes."""
        if not self.is_running:
            return []
        try:
            server = psutil.Process(self._process.pid)
            found = [server, *server.children()]
        except psutil.NoSuchProcess:
            return []
        self._seen |= {each.pid for each in found}
        return found

    def model(self) -> psutil.Process:
        """Returns the newest model process; raises LookupError if there is none."""
        models = self.processes()[1:]
        if not models:
            raise LookupError(f"{self.name} has no model process")
        return max(models, key=lambda each: each.create_time())

    def end(self) -> None:
        """Ends everything that was started here, at once."""
        running = self.processes()
        if self.is_running:
            self._process.kill()
            self._process.wait()
        pids = self._seen | {each.pid for each in running}
        for pid in pids - {os.getpid()}:
            _kill_model(pid)


def _kill_model(pid: int) -> None:
    try:
        process = psutil.Process(pid)
        # The number may belong to somebody else by now.
        if "recserve_server.model_process" in process.cmdline():
            process.kill()
    except psutil.Error:
        pass


def free_ports(count: int) -> list[int]:
    """Returns different ports that nobody listens on now."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
