from dataclasses import replace

import pytest
import runs
import timings

from recserve_client.loadtest.conditions import (
    Bound,
    judge,
    read_bound,
    read_objective,
    value_of,
)
from recserve_client.loadtest.plan import PlanError
from recserve_client.loadtest.result import Latency, StageResult


def slow(p99_ms: float | None, **changes) -> StageResult:
    """A stage of which only p99 is of interest."""
    stage = timings.stage([timings.window([1.0] * 100)])
    return replace(stage, latency=replace(stage.latency, p99_ms=p99_ms), **changes)


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("p99>20ms", Bound("p99", ">", 20.0)),
        ("p99.9>=1.5s", Bound("p99.9", ">=", 1500.0)),
        (" p50 < 250us ", Bound("p50", "<", 0.25)),
        ("max<=1s", Bound("max", "<=", 1000.0)),
        ("mean>2ms", Bound("mean", ">", 2.0)),
        ("errors>0.1%", Bound("errors", ">", 0.001)),
        ("rate<1.5k", Bound("rate", "<", 1500.0)),
    ],
)
def test_a_condition_is_read(text: str, bound: Bound) -> None:
    assert read_bound(text) == bound
    assert read_bound(str(bound)) == bound


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "'' is no condition such as p99>20ms; names are p50, p75, .*, errors, rate"),
        ("p98>20ms", "is no condition"),
        ("P99>20ms", "is no condition"),
        ("p99", "is no condition"),
        ("p99>", "is no condition"),
        ("p99>20", "'20' is not a latency"),
        ("p99=20ms", "'p99=20ms' has =, must have one of <, <=, > and >="),
        ("p99=>20ms", "'>20ms' is not a latency"),
        ("errors>5", "'5' is 500%"),
        ("errors>20ms", "is not a share"),
        ("rate<20ms", "is not a rate"),
    ],
)
def test_what_is_no_condition_is_told(text: str, told: str) -> None:
    with pytest.raises(PlanError, match=told):
        read_bound(text)


@pytest.mark.parametrize(
    ("sign", "below", "at", "above"),
    [
        ("<", True, False, False),
        ("<=", True, True, False),
        (">", False, False, True),
        (">=", False, True, True),
    ],
)
def test_a_bound_holds_on_its_side(sign: str, below: bool, at: bool, above: bool) -> None:
    bound = Bound("p99", sign, 20.0)
    assert [bound.holds(slow(p99)) for p99 in (19.999, 20.0, 20.001)] == [below, at, above]


def test_a_quantity_that_is_not_known_fulfils_nothing() -> None:
    assert not any(Bound("p99", sign, 20.0).holds(slow(None)) for sign in ("<", "<=", ">", ">="))


def test_each_name_is_a_quantity_of_the_stage() -> None:
    stage = timings.stage([timings.window([1.0, 3.0], failed=2)])

    assert value_of("p50", stage) == 1.0
    assert value_of("max", stage) == pytest.approx(3, rel=0.001)
    assert value_of("mean", stage) == pytest.approx(2, rel=0.001)
    assert value_of("errors", stage) == 0.5
    assert value_of("rate", stage) == 2.0


def test_an_objective_is_upper_limits_of_latency_and_of_errors() -> None:
    assert str(read_objective(["p99=20ms", "p50<5ms,max<=1s"], 0.001)) == (
        "p99<=20ms, p50<5ms, max<=1000ms, errors<=0.1%"
    )


@pytest.mark.parametrize("text", ["p99>20ms", "p99>=20ms", "errors<=1%", "rate<100"])
def test_an_objective_is_nothing_else(text: str) -> None:
    with pytest.raises(PlanError, match=f"^'{text}' is no objective such as p99=20ms$"):
        read_objective([text], 0.0)


@pytest.mark.parametrize(
    ("p99_ms", "failed", "holds"),
    [(20.0, 0, True), (20.1, 0, False), (1.0, 1, True), (1.0, 2, False), (None, 0, False)],
)
def test_an_objective_holds_if_all_its_limits_do(
    p99_ms: float | None, failed: int, holds: bool
) -> None:
    stage = slow(p99_ms, ok=1000 - failed, errors={"UNAVAILABLE": failed}, ok_per_s=1000.0)
    assert read_objective(["p99=20ms"], 0.001).holds(stage) is holds


@pytest.mark.parametrize(("ok_per_s", "holds"), [(95.0, True), (94.0, False)])
def test_an_objective_is_missed_where_answers_pile_up(ok_per_s: float, holds: bool) -> None:
    # 100 calls in a second; the others were answered after its end.
    assert read_objective(["p99=20ms"], 0.0).holds(slow(1.0, ok_per_s=ok_per_s)) is holds


def test_chance_that_sends_fewer_calls_than_asked_misses_no_objective() -> None:
    assert read_objective(["p99=20ms"], 0.0).holds(slow(1.0, rate_per_s=150.0))


def test_errors_that_are_allowed_do_not_count_as_answers_that_pile_up() -> None:
    stage = timings.stage([timings.window([1.0] * 80, failed=20)])
    assert read_objective(["p99=20ms"], 0.2).holds(stage)
    assert not read_objective(["p99=20ms"], 0.199).holds(stage)


def test_a_run_fails_by_a_condition_that_any_stage_fulfils() -> None:
    stages = [slow(10.0, label="100/s"), slow(23.14, label="200/s"), slow(40.0, label="400/s")]
    [found] = judge(["p99>20ms"], stages)

    assert (found.text, found.failed) == ("p99>20ms", True)
    assert found.seen == "p99 is 23.14ms at 200/s"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("p99>20ms", "p99 is 15ms at 200/s"),
        ("p99<5ms", "p99 is 10ms at 100/s"),
        ("errors>0.1%", "errors is 0% at 100/s"),
        ("rate<50", "rate is 100/s at 100/s"),
    ],
)
def test_a_condition_that_no_stage_fulfils_shows_the_one_that_came_closest(
    text: str, seen: str
) -> None:
    [found] = judge([text], [slow(10.0, label="100/s"), slow(15.0, label="200/s")])
    assert (found.failed, found.seen) == (False, seen)


def test_what_was_never_answered_does_not_pass_for_quick() -> None:
    silent = runs.silent_stage()
    assert silent.latency == Latency()
    [found] = judge(["p99>20ms"], [slow(1.0), silent])
    assert (found.failed, found.seen) == (True, "p99 is unknown at 200/s")


def test_a_great_number_is_spelt_out() -> None:
    assert str(Bound("p99", ">", 12345.6)) == "p99>12346ms"
    assert str(Bound("rate", "<", 1234567.0)) == "rate<1234567/s"
