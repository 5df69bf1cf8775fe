import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from request_calls import call, recommended

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_server.calls.call import Call, Ended
from recserve_server.config import ObservingConfig
from recserve_server.observing import request_log
from recserve_server.observing.request_log import RequestLog, is_sampled

IDS = [f"0123456789abcdef{number:016x}" for number in range(20_000)]


def log_to(path: Path, share: float = 1.0) -> RequestLog:
    return RequestLog(ObservingConfig(request_log=path, request_log_share=share))


def answered(user_id: str = "u1") -> Ended:
    return recommended(pb.RecommendRequest(user_id=user_id), "film-1")


def wait_until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        time.sleep(0.005)


def test_calls_are_written_in_the_order_in_which_they_ended(tmp_path: Path) -> None:
    log = log_to(tmp_path / "log")
    for number in range(100):
        log.ended(call(request_id=f"r{number}"), answered())

    log.close()

    lines = (tmp_path / "log").read_text().splitlines()
    assert [json.loads(line)["request_id"] for line in lines] == [f"r{n}" for n in range(100)]
    assert (log.stats.written, log.stats.overrun, log.stats.failed) == (100, 0, 0)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_the_sample_has_the_share_that_was_asked_for(share: float) -> None:
    sampled = sum(is_sampled(each, share) for each in IDS)

    assert sampled == pytest.approx(share * len(IDS), rel=0.2)


def test_a_larger_sample_includes_a_smaller_one() -> None:
    small = {each for each in IDS if is_sampled(each, 0.01)}

    assert small < {each for each in IDS if is_sampled(each, 0.1)}


def test_two_servers_write_the_same_calls(tmp_path: Path) -> None:
    logs = [log_to(tmp_path / name, 0.1) for name in ("one", "other")]
    for request_id in IDS[:500]:
        for log in logs:
            log.ended(call(request_id=request_id), answered())
    for log in logs:
        log.close()

    one, other = (
        [json.loads(line)["request_id"] for line in (tmp_path / name).read_text().splitlines()]
        for name in ("one", "other")
    )
    assert one == other
    assert 0 < len(one) < 500


def test_health_checks_are_not_written(tmp_path: Path) -> None:
    log = log_to(tmp_path / "log")
    log.ended(Call("/grpc.health.v1.Health/Check", "r1"), Ended())
    log.close()

    assert (tmp_path / "log").read_text() == ""


def test_a_full_disk_costs_lines_which_are_counted_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = log_to(Path("/dev/full"))

    with caplog.at_level(logging.INFO):
        for _ in range(50):
            log.ended(call(), answered())
        log.close()

    assert (log.stats.written, log.stats.failed) == (0, 50)
    assert [each.getMessage() for each in caplog.records] == [
        "the request log cannot be written, lines are dropped"
    ]


def test_it_goes_on_once_there_is_room_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log, "_RETRY_S", 0.0)
    path = tmp_path / "log"
    log = log_to(path)
    path.unlink()
    path.symlink_to("/dev/full")
    log._file.close()  # what is opened next is the disk that is full
    log.ended(call(), answered())
    wait_until(lambda: log.stats.failed == 1)

    path.unlink()
    log._file.close()
    log.ended(call(request_id="r2"), answered())
    log.close()

    assert json.loads(path.read_text())["request_id"] == "r2"
    assert log.stats.written == 1


def test_a_disk_that_hangs_costs_lines_but_no_time_and_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = log_to(path)
    large = recommended(pb.RecommendRequest(user_id="u1"), *["x" * 100_000])

    for _ in range(1000):  # nobody reads: 64 KiB fit into the pipe, the rest has to wait
        log.ended(call(), large)

    assert log.stats.overrun > 100
    assert log._pending_bytes <= 64 << 20
    log.close(timeout_s=0.05)  # nor does it keep the server from going
    assert log._thread.is_alive()
    drain(reader, log)


def drain(reader: int, log: RequestLog) -> None:
    """Reads what is left, so that the thread can end."""
    while log._thread.is_alive():
        try:
            os.read(reader, 1 << 20)
        except BlockingIOError:
            time.sleep(0.001)
    os.close(reader)


def test_a_place_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot write the request log .*: No such file"):
        log_to(tmp_path / "missing" / "log")


def test_calls_that_end_after_it_was_closed_are_dropped(tmp_path: Path) -> None:
    log = log_to(tmp_path / "log")
    log.close()
    log.ended(call(), answered())

    assert log.stats.overrun == 1
    assert (tmp_path / "log").read_text() == ""
