from typing import Any

import pytest
from scenarios import OVERLOAD, PEAK
from table import rich_table, rows

HALF, DOUBLE = f"{OVERLOAD}: open loop at 80%", f"{OVERLOAD}: open loop at 200%"


def closed(round_: int, server: str, per_s: float, scenario: str = PEAK) -> dict[str, Any]:
    return {
        "round": round_,
        "scenario": scenario,
        "server": server,
        "per_s": per_s,
        "mean_ms": 1000 / per_s,
    }


def opened(round_: int, scenario: str, p99: float, problem: str = "") -> dict[str, Any]:
    return {
        "round": round_,
        "scenario": scenario,
        "server": "recserve",
        "goodput_per_s": 900.0,
        "peak_per_s": 1000.0,
        "latency_ms": {"p99": p99},
        "problem": problem,
    }


def test_ratios_are_taken_within_a_round() -> None:
    measurements = [
        each
        for round_, floor, ours in ((1, 1000, 900), (2, 100, 85), (3, 500, 350))
        for each in (closed(round_, "floor", floor), closed(round_, "recserve", ours))
    ]

    [row] = rows(measurements)

    assert row.results == [0.9, 0.85, 0.7]
    assert (row.result, row.ours, row.other) == (0.85, 350, 500)
    assert (row.target, row.reached) == (">= 0.80x", True)


def test_latency_is_compared_by_difference_with_an_upper_bound() -> None:
    [row] = rows(
        [closed(1, "floor", 4000, "in-flight-1"), closed(1, "recserve", 1000, "in-flight-1")]
    )

    assert row.result == pytest.approx(0.75)
    assert (row.target, row.reached) == ("<= 0.40 ms", False)


def test_rounds_in_which_the_client_failed_are_left_out_and_told() -> None:
    measurements = [
        opened(1, HALF, 10.0),
        opened(1, DOUBLE, 20.0),
        opened(2, HALF, 10.0),
        opened(2, DOUBLE, 900.0, "client late by 9.0 ms at p99"),
    ]

    goodput, p99 = rows(measurements)

    assert (goodput.results, p99.results) == ([0.9], [2.0])
    assert p99.reached
    assert p99.notes == [f"{p99.title}: round 2 is left out of it: client late by 9.0 ms at p99"]


def test_nothing_valid_is_neither_reached_nor_missed() -> None:
    goodput, p99 = rows([opened(1, HALF, 1.0, "late"), opened(1, DOUBLE, 1.0, "late")])

    assert (goodput.reached, p99.reached) == (None, None)
    assert rich_table([goodput, p99]).row_count == 2


def test_rivals_are_held_against_the_same_round_of_ours() -> None:
    [row] = rows([closed(1, "recserve", 9000), closed(1, "pytriton", 2500)])

    assert row.title.endswith("against pytriton")
    assert (row.result, row.reached) == (3.6, True)
