"""The scenarios of `make bench`, each a function that appends what it measured."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import at_rate
import h2load
import questions
import servers
from h2load import Concurrency, Question

from recserve_client import RecommenderError

CLOSED: Final = {
    "in-flight-128": Concurrency(8, 16),
    "in-flight-8": Concurrency(8, 1),
    "in-flight-1": Concurrency(1, 1),
}
BATCH: Final = "batch-256"
OVERLOAD: Final = "overload"
OPTIONS: Final = "options"
PEAK: Final = "in-flight-128"
"""The scenario whose throughput is the peak that overload is held against."""
SCENARIOS: Final = (*CLOSED, BATCH, OVERLOAD, OPTIONS)
RIVALS: Final = ("pytriton", "ray_serve")
_BATCHES: Final = Concurrency(4, 1)
_LOADS: Final = {"open loop at 80%": 0.8, "open loop at 200%": 2.0}

FAILURES: Final = (
    h2load.LoadError,
    questions.WrongAnswerError,
    servers.ServerError,
    RecommenderError,
    OSError,
    RuntimeError,
    subprocess.SubprocessError,
)
"""What ends a benchmark with one line."""

Measurement = dict[str, Any]
"""`round`, `scenario` and `server`, and the fields of an h2load.Run or what
`at_rate.measure` returns."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How long and how to measure."""

    seconds: float
    seed: int
    deadline_ms: int | None = None
    """Deadline of the open loop's requests; None means that they have none."""


@dataclass(slots=True)
class Session:
    """What has been measured so far, and what it takes to measure more."""

    asked: questions.Questions
    settings: Settings
    measurements: list[Measurement] = field(default_factory=list)
    options: list[dict[str, float]] = field(default_factory=list)
    """Calls per second by option, of each round."""

    def closed(self, round_: int, scenario: str, server: servers.Server) -> None:
        """Keeps calls of Recommend in flight; a real client asks before and after."""

        def check() -> None:
            questions.check_recommend(server.target, self.asked)

        self._closed(round_, scenario, server, (self.asked.recommend, CLOSED[scenario], check))

    def batch(self, round_: int, server: servers.Server) -> None:
        """Keeps four calls of BatchRecommend in flight."""

        def check() -> None:
            questions.check_batch(server.target, self.asked)

        self._closed(round_, BATCH, server, (self.asked.batch, _BATCHES, check))
        found = self.measurements[-1]
        found["users_per_s"] = found["per_s"] * len(self.asked.batch_user_ids)

    def overload(self, round_: int, server: servers.Server) -> None:
        """Sends more than the server can answer, and before that less; see `PEAK`."""
        peak = next(
            each["per_s"]
            for each in reversed(self.measurements)
            if (each["scenario"], each["server"]) == (PEAK, server.name)
        )
        for name, share in _LOADS.items():
            questions.check_recommend(server.target, self.asked)
            load = at_rate.Load(
                rate_per_s=share * peak,
                seconds=self.settings.seconds,
                seed=self.settings.seed + round_,
                deadline_ms=self.settings.deadline_ms,
            )
            report = at_rate.measure(server.target, self.asked.recommend, load)
            questions.check_recommend(server.target, self.asked)
            self._add(round_, f"{OVERLOAD}: {name}", server, {"peak_per_s": peak, **report})

    def rival(self, round_: int, name: str, folder: Path) -> None:
        """Starts a rival, keeps 128 calls in flight, and stops it: an idle one would cost too."""
        python, home = servers.rival_python(name), servers.RIVALS / name
        user = ["--user", self.asked.user_id, "--k", str(questions.K)]
        file = folder / f"{name}.request"
        path = _printed([str(python), str(home / "request.py"), *user, "--out", str(file)]).strip()
        with servers.rival(name, self.asked.version, folder / "logs") as server:
            port = server.target.rpartition(":")[2]
            asking = [str(python), str(home / "check.py"), *user, "--port", port]

            def check() -> None:
                questions.check_item_ids(
                    name, self.asked, lambda: tuple(json.loads(_printed(asking)))
                )

            call = (Question(path, file), CLOSED[PEAK], check)
            self._closed(round_, PEAK, server, call)

    def _closed(
        self,
        round_: int,
        scenario: str,
        server: servers.Server,
        call: tuple[Question, Concurrency, Callable[[], None]],
    ) -> None:
        question, concurrency, check = call
        check()
        run = h2load.measure(server.target, question, concurrency, self.settings.seconds)
        check()
        memory = {"memory": asdict(server.memory()), "start_s": server.start_s}
        self._add(round_, scenario, server, asdict(run) | memory)

    def _add(
        self, round_: int, scenario: str, server: servers.Server, found: dict[str, Any]
    ) -> None:
        self.measurements.append(
            {"round": round_, "scenario": scenario, "server": server.name, **found}
        )


def _printed(command: list[str]) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if ran.returncode:
        raise questions.WrongAnswerError(f"{command[1]} failed: {ran.stderr.strip()[-300:]}")
    return ran.stdout
