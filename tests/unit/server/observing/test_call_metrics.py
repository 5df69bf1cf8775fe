import threading

import pytest
from google.rpc import code_pb2
from metrics_scrape import RECOMMEND, RECOMMEND_LABELS, WATCH, Scrape, readings

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
