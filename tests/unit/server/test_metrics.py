import datetime
import threading
from pathlib import Path

import pytest
from google.rpc import code_pb2
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from recserve.artifact.v1 import manifest_pb2
from recserve_server.errors import ServingError
from recserve_server.metrics import Readings, build_registry
from recserve_server.models.artifact import VersionPath
from recserve_server.models.store import ModelVersion, State
from recserve_server.stats import BatchStats, CallStats, PaddingStats

RECOMMEND = "/recserve.v1.RecommendationService/Recommend"
WATCH = "/grpc.health.v1.Health/Watch"
RECOMMEND_LABELS = {
    "grpc_type": "unary",
    "grpc_service": "recserve.v1.RecommendationService",
    "grpc_method": "Recommend",
}
# The names of google.golang.org/grpc/codes.
GO_CODES = {
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
}
COUNTERS = {
    "recserve_failed_batches_total",
    "recserve_wasted_rows_total",
    "recserve_model_rows_total",
    "recserve_padding_rows_total",
}
FAMILIES = {
    "grpc_server_started": "counter",
    "grpc_server_handled": "counter",
    "grpc_server_handling_seconds": "histogram",
    "recserve_batch_size": "histogram",
    "recserve_batch_run_seconds": "histogram",
    "recserve_queue_wait_seconds": "histogram",
    "recserve_queue_depth": "gauge",
    "recserve_rejected": "counter",
    "recserve_failed_batches": "counter",
    "recserve_wasted_rows": "counter",
    "recserve_model_rows": "counter",
    "recserve_padding_rows": "counter",
    "recserve_model_info": "gauge",
    "recserve_model_load_time_seconds": "gauge",
    "recserve_serving": "gauge",
}


def readings(**changed: object) -> Readings:
    calls = CallStats(methods={RECOMMEND: "unary", WATCH: "server_stream"})
    fresh = {
        "calls": calls,
        "batches": BatchStats(),
        "padding": PaddingStats(),
        "queue_depth": 0,
        "is_serving": False,
        "model": None,
    }
    return Readings(**{**fresh, **changed})


class Scrape:
    """What a Prometheus would read."""

    def __init__(self, told: Readings) -> None:
        text = generate_latest(build_registry(lambda: told)).decode()
        self.families = {each.name: each for each in text_string_to_metric_families(text)}
        self.samples = [each for family in self.families.values() for each in family.samples]

    def __getitem__(self, name: str) -> float:
        return self.value(name)

    def value(self, name: str, /, **labels: str) -> float:
        [value] = [
            each.value for each in self.samples if (each.name, each.labels) == (name, labels)
        ]
        return value

    def buckets(self, name: str, **labels: str) -> list[tuple[str, float]]:
        return [
            (each.labels["le"], each.value)
            for each in self.samples
            if each.name == f"{name}_bucket" and labels.items() <= each.labels.items()
        ]


def test_every_family_is_there_before_anything_happened_and_is_zero() -> None:
    scrape = Scrape(readings())

    told = {name: family.type for name, family in scrape.families.items()}
    assert {name: told.get(name) for name in FAMILIES} == FAMILIES
    ours = [each for each in scrape.samples if each.name.startswith(("grpc_", "recserve_"))]
    assert {each.value for each in ours} == {0.0}
    assert {each.name for each in ours} >= COUNTERS


def test_the_process_and_python_are_told_too() -> None:
    scrape = Scrape(readings())

    assert scrape["process_resident_memory_bytes"] > 0
    assert "python_info" in scrape.families


def test_calls_are_told_by_method_and_code() -> None:
    told = readings()
    told.calls.started[RECOMMEND] += 4
    for code, duration_s in (("OK", 0.0002), ("OK", 0.003), ("RESOURCE_EXHAUSTED", 0.0001)):
        told.calls.handled_s[RECOMMEND, code].add(duration_s)

    scrape = Scrape(told)

    assert scrape.value("grpc_server_started_total", **RECOMMEND_LABELS) == 4
    handled = {
        each.labels["grpc_code"]: each.value
        for each in scrape.samples
        if each.name == "grpc_server_handled_total" and each.labels["grpc_method"] == "Recommend"
    }
    assert {code: count for code, count in handled.items() if count} == {
        "OK": 2,
        "ResourceExhausted": 1,
    }
    assert len(handled) == 17


def test_latencies_are_told_by_code_and_their_buckets_cumulate() -> None:
    told = readings()
    for duration_s in (0.0002, 0.003, 7.0):
        told.calls.handled_s[RECOMMEND, "OK"].add(duration_s)
    told.calls.handled_s[RECOMMEND, "UNAVAILABLE"].add(0.00005)

    scrape = Scrape(told)

    name = "grpc_server_handling_seconds"
    good = dict(scrape.buckets(name, grpc_code="OK", **RECOMMEND_LABELS))
    assert (good["0.0001"], good["0.00025"], good["0.0025"], good["0.005"]) == (0, 1, 1, 2)
    assert (good["5.0"], good["+Inf"]) == (2, 3)
    assert scrape.value(f"{name}_sum", grpc_code="OK", **RECOMMEND_LABELS) == pytest.approx(7.0032)
    assert scrape.value(f"{name}_count", grpc_code="Unavailable", **RECOMMEND_LABELS) == 1


def test_codes_are_named_as_in_go() -> None:
    told = readings()
    for code in code_pb2.Code.keys():  # noqa: SIM118
        told.calls.handled_s[WATCH, code].add(1.0)

    scrape = Scrape(told)

    codes = {
        each.labels["grpc_code"]
        for each in scrape.samples
        if each.name == "grpc_server_handled_total" and each.value
    }
    assert codes == GO_CODES


def test_batches_are_told() -> None:
    batches, padding = BatchStats(), PaddingStats(rows=90, padding_rows=7)
    for size in (1, 3, 64):
        batches.batch_size.add(size)
    batches.queue_wait_s.add(0.02, times=3)
    batches.run_s.add(0.004)
    batches.failed_batches, batches.wasted = 2, 5

    scrape = Scrape(readings(batches=batches, padding=padding, queue_depth=11, is_serving=True))

    sizes = dict(scrape.buckets("recserve_batch_size"))
    assert (sizes["1.0"], sizes["2.0"], sizes["4.0"], sizes["4096.0"]) == (1, 1, 2, 3)
    assert scrape["recserve_batch_size_sum"] == 68
    assert scrape["recserve_queue_wait_seconds_count"] == 3
    assert scrape["recserve_batch_run_seconds_sum"] == pytest.approx(0.004)
    assert (scrape["recserve_queue_depth"], scrape["recserve_serving"]) == (11, 1)
    counts = {name: scrape[name] for name in COUNTERS}
    assert counts == {
        "recserve_failed_batches_total": 2,
        "recserve_wasted_rows_total": 5,
        "recserve_model_rows_total": 90,
        "recserve_padding_rows_total": 7,
    }


def test_refusals_are_told_by_the_reasons_of_the_error_table_and_no_others() -> None:
    batches = BatchStats()
    batches.refused.update({"QUEUE_FULL": 3, "NOT_READY": 1, "invented": 2, "user 42": 1})

    scrape = Scrape(readings(batches=batches))

    told = {
        each.labels["reason"]: each.value for each in scrape.families["recserve_rejected"].samples
    }
    assert told == {
        "QUEUE_FULL": 3,
        "DEADLINE_TOO_SHORT": 0,
        "EXPIRED_IN_QUEUE": 0,
        "NOT_READY": 1,
        "MODEL_FAILED": 0,
        ServingError.reason: 3,
    }


def test_the_model_is_told() -> None:
    model = ModelVersion(
        VersionPath("films", 3, Path("films/3")),
        State.SERVING,
        manifest=manifest_pb2.Manifest(
            model=manifest_pb2.Model(kind="two_tower"), index=manifest_pb2.Index(kind="exact")
        ),
        load_time=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    )

    scrape = Scrape(readings(model=model))

    labels = {"name": "films", "version": "3", "kind": "two_tower", "index": "exact"}
    assert scrape.value("recserve_model_info", **labels) == 1
    assert scrape["recserve_model_load_time_seconds"] == 1_767_225_600


def test_a_scrape_bears_with_calls_that_go_on() -> None:
    told = readings()
    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            told.calls.handled_s.clear()
            for code in code_pb2.Code.keys():  # noqa: SIM118
                told.calls.started[RECOMMEND] += 1
                told.calls.handled_s[RECOMMEND, code].add(0.001)

    thread = threading.Thread(target=call)
    thread.start()
    try:
        scrapes = [Scrape(told) for _ in range(10)]
    finally:
        stop.set()
        thread.join()

    started = [each.value("grpc_server_started_total", **RECOMMEND_LABELS) for each in scrapes]
    assert started == sorted(started)
