"""Sessions of load tests against a fake server."""

from recserve_client.loadtest.plan import (
    Arrivals,
    Endpoint,
    OpenLoop,
    Question,
    Stage,
)
from recserve_client.loadtest.result import Run, ServerSeen, StageResult, Window
from recserve_client.loadtest.session import LoadPlan, Session, Told
from recserve_client.loadtest.traffic.drawing import Population, draw_questions
from recserve_client.loadtest.traffic.mix import Mix
from recserve_client.loadtest.traffic.population import Found
from recserve_client.testing import SAMPLE_USERS

FOUND = Found(ServerSeen(target="films:8500"), Population(list(SAMPLE_USERS), ["1"]), ("doubt",))
TOLD = Told(arguments=("--rate", "100"), mix="a mix")
PATIENT_S = 30.0


class Watcher:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int]] = []
        self.windows: list[Window] = []
        self.ended: list[StageResult] = []

    def stage_started(self, stage: Stage, number: int) -> None:
        self.started.append((stage.pressure.label, number))

    def window_ended(self, window: Window) -> None:
        self.windows.append(window)

    def stage_ended(self, result: StageResult) -> None:
        self.ended.append(result)


def open_stage(rate_per_s: float, seconds: float = 0.5, **options) -> Stage:
    options = {"arrivals": Arrivals.CONSTANT, **options}
    return Stage(pressure=OpenLoop(rate_per_s=rate_per_s, **options), seconds=seconds, warmup_s=0.0)


def plan_for(port: int, *stages: Stage, **options) -> LoadPlan:
    endpoint = Endpoint(host="127.0.0.1", port=port, connections=2, timeout_s=PATIENT_S)
    return LoadPlan(endpoint=endpoint, stages=stages, **options)


def questions(mix: Mix | None = None) -> list[Question]:
    return draw_questions(mix or Mix(), FOUND.population, 50, 1)


def run(plan: LoadPlan, asked: list[Question] | None = None) -> Run:
    return Session(plan, FOUND, None, Watcher()).run(asked or questions(), TOLD)
