import random
from dataclasses import replace

import pytest
import runs
import timings

from recserve_client.loadtest.compare import Comparison, Difference, compare
from recserve_client.loadtest.plan import PlanError


@pytest.fixture(scope="module")
def run():
    return timings.random_run(1)


@pytest.fixture(scope="module")
def slower():
    return timings.random_run(2, factor=2.0)


def of(comparison: Comparison, name: str) -> Difference:
    [found] = [each for each in comparison.differences if each.name == name]
    return found


def test_a_run_is_the_same_as_itself(run) -> None:
    found = compare(run, run)

    assert [(each.name, each.verdict) for each in found.differences] == [
        ("p50", "same"),
        ("p99", "same"),
        ("errors", "same"),
    ]
    assert (found.verdict, found.notes) == ("same", ())
    assert of(found, "p99").change == 0


def test_another_run_of_the_same_server_is_the_same(run) -> None:
    assert compare(run, timings.random_run(3), tolerance=0.1).verdict == "same"


def test_a_run_of_twice_the_latency_is_worse_and_the_other_way_round_better(run, slower) -> None:
    worse, better = compare(run, slower), compare(slower, run)

    assert worse.verdict == of(worse, "p99").verdict == of(worse, "p50").verdict == "worse"
    assert of(worse, "p50").change == pytest.approx(1, abs=0.15)
    assert better.verdict == of(better, "p99").verdict == "better"
    assert of(better, "p50").change == pytest.approx(-0.5, abs=0.05)


def test_what_is_shown_is_what_was_measured(run, slower) -> None:
    found = of(compare(run, slower), "p99")

    assert found.stage == "200/s"
    assert found.before == pytest.approx(run.stages[0].latency.p99_ms, rel=0.006)
    assert found.after == pytest.approx(slower.stages[0].latency.p99_ms, rel=0.006)
    assert found.low < found.change < found.high


def test_the_same_runs_make_the_same_comparison(run, slower) -> None:
    assert compare(run, slower) == compare(run, slower)


@pytest.mark.parametrize(("factor", "verdict"), [(2.0, "worse"), (1.05, "same")])
def test_a_change_within_the_tolerance_does_not_count(run, factor: float, verdict: str) -> None:
    other = timings.random_run(1, factor=factor)
    assert compare(run, other, tolerance=0.3).verdict == verdict


@pytest.mark.parametrize(("seconds", "verdict"), [(3, "unknown"), (4, "unknown"), (5, "worse")])
def test_few_seconds_are_too_little_to_tell(slower, seconds: int, verdict: str) -> None:
    found = compare(timings.random_run(1, seconds=seconds), slower)

    assert found.verdict == verdict
    assert (of(found, "p99").low is None) is (verdict == "unknown")
    assert of(found, "p99").change is not None


def test_more_errors_are_worse_and_fewer_better(run) -> None:
    failing = timings.random_run(1, failing=0.05)
    found = of(compare(run, failing), "errors")

    assert (found.verdict, found.before) == ("worse", 0)
    assert found.change == found.after == pytest.approx(0.05, abs=0.02)
    assert of(compare(failing, run), "errors").verdict == "better"


def test_a_stage_without_any_answer_is_worse_by_its_errors(run) -> None:
    found = compare(run, timings.random_run(1, failing=1.0))

    assert (of(found, "p99").verdict, of(found, "p99").change) == ("unknown", None)
    assert found.verdict == "worse"


@pytest.mark.parametrize(("calls", "verdict"), [(150, "worse"), (200, "same"), (300, "better")])
def test_a_closed_loop_is_judged_by_its_rate_too(calls: int, verdict: str) -> None:
    before, after = (
        timings.stage([timings.window([5.0] * count)] * 6, label="8 in flight", mode="closed")
        for count in (200, calls)
    )
    found = of(compare(runs.run(before), runs.run(after)), "rate")
    assert (found.verdict, found.before, found.after) == (verdict, 200, calls)


@pytest.mark.long
def test_intervals_hold_the_true_change_in_most_pairs() -> None:
    # Of 20 intervals of 95 %, fewer than 15 hold with a probability below one in a thousand.
    factor, held = 1.3, {"p50": 0, "p99": 0}
    for seed in range(20):
        before = timings.random_run((seed, "before"), calls=50)
        after = timings.random_run((seed, "after"), calls=50, factor=factor)
        found = compare(before, after)
        for name in held:
            each = of(found, name)
            held[name] += each.low <= factor - 1 <= each.high
    assert min(held.values()) >= 15, held


def test_stages_are_paired_by_label_and_order() -> None:
    def stage(label: str, latency_ms: float):
        return timings.stage([timings.window([latency_ms] * 50)] * 6, label=label)

    before = runs.run(stage("100/s", 1.0), stage("100/s", 2.0), stage("300/s", 9.0))
    after = runs.run(stage("200/s", 5.0), stage("100/s", 1.0), stage("100/s", 2.0))
    found = compare(before, after)

    assert {each.stage for each in found.differences} == {"100/s"}
    assert [each.before for each in found.differences if each.name == "p50"] == pytest.approx(
        [1.0, 2.0], rel=0.006
    )
    assert found.verdict == "same"
    assert found.notes == ("only in one of the runs: 200/s, 300/s",)


def test_runs_without_a_common_stage_cannot_be_compared() -> None:
    with pytest.raises(PlanError, match=r"^the runs have no stage in common: 500/s and 600/s$"):
        compare(runs.run(runs.open_stage(500.0)), runs.run(runs.open_stage(600.0)))


@pytest.mark.parametrize("tolerance", [-0.01, 1.01, float("nan")])
def test_a_tolerance_is_a_share(run, tolerance: float) -> None:
    with pytest.raises(PlanError, match=r"^tolerance is .*, must be from 0% to 100%$"):
        compare(run, run, tolerance=tolerance)


def test_what_makes_runs_hard_to_compare_is_noted(run) -> None:
    other = replace(
        run,
        seed=8,
        mix="other",
        host=replace(run.host, name="laptop", cpu="Z80"),
        server=replace(run.server, model_version=4),
    )
    assert compare(run, other).notes == (
        "machines differ: loader-1 and laptop",
        "processors differ: AMD EPYC 7B13 and Z80",
        "questions differ: Recommend k=10 for 943 users, zipf 1.1 and other",
        "seeds differ: 7 and 8",
        "models differ: films 3 and films 4",
    )


def test_what_two_searches_found_is_noted(run) -> None:
    searches = [replace(runs.search_run().search, rate_per_s=rate) for rate in (1850.0, None)]
    before, after = (replace(run, search=each) for each in searches)
    assert compare(before, after).notes == ("rates found by the searches: 1850/s and none",)
    assert compare(run, after).notes == ()


def test_a_comparison_does_not_disturb_the_random_numbers_of_its_caller(run) -> None:
    random.seed(1)
    compare(run, run)
    after = random.random()
    random.seed(1)
    assert random.random() == after
