"""A server in a process of its own, which callers cannot take along, measured from outside."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from hostile_world import best, publish

from recserve_client import ChannelConfig, OverloadedError, RecommenderClient, UnavailableError

MIB = 1 << 20
OF_ITS_OWN = 6
"""Files by which two counts of one server differ: its own, opened and closed as it likes."""
NO_RETRIES = ChannelConfig(max_attempts=1)


@dataclass(frozen=True)
class ServerProcess:
    process: "subprocess.Popen[str]"
    address: str
    log: Path
    models: Path

    def slow_down(self) -> None:
        """Lets the model take the time that --batch-s says, from now on."""
        (self.models / "slow").touch()

    def peak_bytes(self) -> int:
        """Returns the most memory that was resident since `forget_peak`."""
        return self._status("VmHWM:") * 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def wait_for_files(self, count: int, *, at_least: bool = False) -> None:
        """Waits until about `count` files are open: hardly more, or, `at_least`, hardly less."""
        end_s = time.monotonic() + 20.0
        while True:
            found = self.open_files()
            if found >= count - OF_ITS_OWN if at_least else found <= count + OF_ITS_OWN:
                return
            assert time.monotonic() < end_s, f"{found} open files instead of {count}"
            time.sleep(0.02)

    def defects(self) -> list[str]:
        """Returns what it has logged of errors that nobody foresaw."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        # gRPC itself logs by ExecuteBatchError that a caller was gone before its answer.
        return [
            line
            for line in lines
            if "a call failed" in line or ("Traceback" in line and "ExecuteBatchError" not in line)
        ]

    def at(self, address: str) -> Self:
        """Returns the same server, called by another address of its."""
        return replace(self, address=address)

    def client(self) -> RecommenderClient:
        """Returns a normal client that takes the first answer, whatever it is."""
        return RecommenderClient(self.address, config=NO_RETRIES, timeout_s=20.0)

    def check_answers(self) -> None:
        """Asks as a normal client does, over a connection of its own, once and for all."""
        with self.client() as client:
            for user in range(3):
                answer = client.recommend(f"u{user}", k=3)
                assert [item.item_id for item in answer] == best(user, 3)

    def wait_until_well(self, timeout_s: float = 20.0) -> None:
        """Asks until there is an answer: what a flood has left behind may still be looked at."""
        end_s = time.monotonic() + timeout_s
        while True:
            try:
                return self.check_answers()
            except (UnavailableError, OverloadedError):
                if time.monotonic() > end_s:
                    raise

    def _status(self, key: str) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1])
        raise AssertionError(f"no {key} in the status of the server's process")


@contextlib.contextmanager
def server_process(
    folder: Path, *flags: object, environment: Mapping[str, str] | None = None
) -> Iterator[ServerProcess]:
    """Runs matrix_server.py for as long as the context lasts."""
    script, log = Path(__file__).parent / "matrix_server.py", folder / "server.log"
    models = publish(folder / "models")
    command = [sys.executable, script, models, *flags]
    # Set before Python starts, as recserve-serve does before it imports gRPC.
    variables = {**os.environ, "GRPC_VERBOSITY": "NONE", **(environment or {})}
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [*map(str, command)], stdout=subprocess.PIPE, stderr=stderr, text=True, env=variables
        ) as process,
    ):
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip().rpartition(" ")[2]
            assert address, log.read_text()
            yield ServerProcess(process, address, log, models)
        finally:
            process.kill()
