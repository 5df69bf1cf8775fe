import json
from pathlib import Path

import pytest
from request_calls import SERVICE, call, recommended

from recserve.v1 import recommendation_service_pb2 as pb
from recserve_client.loadtest.traffic.recording import read_recording
from recserve_server.calls.call import Ended
from recserve_server.config import ObservingConfig
from recserve_server.observing.recording import main
from recserve_server.observing.request_log import RequestLog

RECOMMEND = pb.RecommendRequest(
    user_id="u1",
    k=5,
    history=[pb.HistoryEntry(item_id="film-7", rating=4.5)],
    filters=[pb.Filter(attribute="year", range=pb.NumberRange(min=1990))],
    view=pb.ITEM_VIEW_FULL,
)
SIMILAR = pb.FindSimilarItemsRequest(item_ids=["film-1"], k=3)


def log_of(folder: Path, *, is_personal: bool = True) -> Path:
    """A log of two calls, the second of which began first, and of two that are no reads."""
    times_s = iter((1000.0, 1000.5, 1001.0, 1002.0))
    config = ObservingConfig(
        request_log=folder / "log", request_log_share=1.0, request_log_personal=is_personal
    )
    log = RequestLog(config, clock=lambda: next(times_s))
    quick, slow = recommended(RECOMMEND, "film-1"), Ended(request=SIMILAR, duration_s=0.75)
    log.ended(call(), quick)
    log.ended(call("FindSimilarItems"), slow)
    log.ended(call("RecordEvents"), Ended())
    log.ended(call("GetModel"), Ended())
    log.close()
    return folder / "log"


def test_a_personal_log_can_be_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = log_of(tmp_path)

    assert main([str(log)]) == 0
    recorded = tmp_path / "recording.jsonl"
    recorded.write_text(capsys.readouterr().out)

    recording = read_recording(recorded)
    assert [(each.method, each.message) for each in recording.questions] == [
        (f"{SERVICE}/FindSimilarItems", SIMILAR.SerializeToString()),
        (f"{SERVICE}/Recommend", RECOMMEND.SerializeToString()),
    ]
    assert recording.times_s == (0.0, pytest.approx(1000.0 - 0.0123 - 999.75))


def test_answers_are_not_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(log_of(tmp_path))])

    for line in capsys.readouterr().out.splitlines():
        assert set(json.loads(line)) == {"at_s", "method", "request"}


def test_torn_lines_are_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = log_of(tmp_path)
    whole = log.read_text()
    log.write_text(whole[:100] + "\n" + whole + '[1]\n{"method": 3}\n' + whole[:40])

    assert main([str(log)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_log_without_requests_is_no_recording(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(log_of(tmp_path, is_personal=False))]) == 1

    told = capsys.readouterr().err
    assert "has no request: the log must be written with --request-log-personal" in told


def test_a_missing_log_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "missing")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
