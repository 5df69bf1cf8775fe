from pathlib import Path

import pytest
from h2load import Concurrency, LoadError, Question, measure, parse

PRINTED = """starting benchmark...
Application protocol: h2c

finished in 730.24ms, 3591.98 req/s, 1.48MB/s
requests: 2623 total, 2623 started, 2623 done, 2623 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 2623 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 1.08MB (1134937) total, 10KB (10520) headers (space savings 95%), 1.01MB (1062315) data
                     min         max         mean         sd        +/- sd
time for request:      950us      1.02s     34.65ms      3.72ms    88.94%
time for connect:      310us       588us       443us       106us    62.50%
"""


def test_a_report_is_read() -> None:
    run = parse(PRINTED)

    assert (run.requests, run.data_bytes) == (2623, 1_062_315)
    assert (run.seconds, run.per_s) == (pytest.approx(0.73024), 3591.98)
    assert (run.min_ms, run.max_ms, run.mean_ms) == pytest.approx((0.95, 1020.0, 34.65))


def test_failed_requests_are_no_measurement() -> None:
    printed = PRINTED.replace("2623 succeeded, 0 failed", "2600 succeeded, 23 failed")

    with pytest.raises(LoadError, match=r"^23 requests failed, 0 errored, 0 timed out$"):
        parse(printed)


def test_another_report_is_told() -> None:
    with pytest.raises(LoadError, match="h2load printed something else: 'what'"):
        parse("what")


def test_a_missing_program_is_told_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(LoadError, match=r"^h2load is missing: apt-get install nghttp2-client"):
        measure("127.0.0.1:1", Question("/any", Path("request")), Concurrency(1), 1)
