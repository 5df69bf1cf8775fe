"""Sessions that decide by what they see: searches, and stages that go on until they are stable."""

import threading
import time
from collections.abc import Iterator

import grpc
import pytest
from sessions import open_stage, plan_for, run

from recserve_client.loadtest import session as session_module
from recserve_client.loadtest.conditions import read_objective
from recserve_client.loadtest.search import SearchPlan
from recserve_client.testing import FakeServer


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(fake: FakeServer) -> Iterator[None]:
    yield
    fake.reset()


@pytest.mark.long
def test_a_search_finds_the_rate_above_which_calls_are_refused(server) -> None:
    # Not later than others, so that nothing but the errors tells.
    per_s, burst = 150.0, 10.0
    lock, bucket = threading.Lock(), [burst, time.monotonic()]
    answer = server.handle_recommend

    def limited(request, context):
        with lock:
            now_s = time.monotonic()
            left = min(burst, bucket[0] + per_s * (now_s - bucket[1]))
            bucket[:] = [max(left - 1, 0 if left >= 1 else left), now_s]
        if left < 1:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many")
        return answer(request, context)

    server.handle_recommend = limited
    plan = plan_for(
        int(server.target.rpartition(":")[2]),
        open_stage(1.0, 0.6),
        objective=read_objective(["p99=20s"], 0.1),
        search=SearchPlan(low_per_s=75.0, high_per_s=1200.0, precision=0.6),
        conditions=("errors>15%",),
    )
    found = run(plan)

    assert found.search.objective == "p99<=20000ms, errors<=10%"
    assert 0 < found.search.rate_per_s < 200
    assert found.search.rate_per_s < found.search.refused_rate_per_s <= 300
    last = found.stages[-1]
    assert (last.rate_per_s, last.holds) == (found.search.rate_per_s, True)
    assert any(each.holds is False and each.errors for each in found.stages)
    # Conditions are about the rate that was found, not those above it.
    assert [each.failed for each in found.conditions] == [False]


def test_a_search_on_a_slow_server_finds_nothing(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "is_stable", lambda windows: False)
    fake.delay_s = 0.05
    plan = plan_for(
        fake.port,
        open_stage(1.0, 0.3),
        objective=read_objective(["p50=40ms"], 0.0),
        search=SearchPlan(low_per_s=1.0, high_per_s=1.0),
        conditions=("p50>40ms",),
    )
    found = run(plan)

    assert [each.rate_per_s for each in found.stages] == [1.0, 1.0]
    assert (found.search.rate_per_s, found.search.refused_rate_per_s) == (None, 1.0)
    assert found.conditions[0].failed
    # That p99 of a rate that is too much does not settle is no news.
    assert not any("settled" in told for each in found.stages for told in each.warnings)


@pytest.mark.long
def test_a_stage_goes_on_until_it_is_stable(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if all but the first second were alike.
    monkeypatch.setattr(session_module, "is_stable", lambda windows: windows[0].start_s == 1.0)
    stage = open_stage(30, 2.0)
    found = run(plan_for(fake.port, stage, until_stable=True))

    [result] = found.stages
    assert 4 <= result.seconds < 9
    assert result.stable
    assert not any("settled" in told for told in result.warnings)


@pytest.mark.long
def test_a_stage_that_never_settles_takes_five_times_as_long(
    fake: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "is_stable", lambda windows: False)
    found = run(plan_for(fake.port, open_stage(30, 0.3), until_stable=True))

    [result] = found.stages
    assert (result.seconds, result.started, result.stable) == (pytest.approx(1.5), 45, False)
    assert result.warnings[-1].startswith("p99 had not settled")


def test_a_ramp_cannot_settle(fake: FakeServer) -> None:
    ramp = open_stage(20, 0.4, end_rate_per_s=80.0)
    [result] = run(plan_for(fake.port, ramp, until_stable=True)).stages
    assert (result.seconds, result.stable) == (pytest.approx(0.4), None)
