import re
from collections.abc import Callable
from dataclasses import replace

import pytest
import runs
import timings
from screens import ODD, Screen, printed

from recserve_client.loadtest.compare import Comparison, Difference, compare
from recserve_client.loadtest.comparison_table import print_comparison
from recserve_client.loadtest.result import Search
from recserve_client.loadtest.tables import milliseconds, per_second, percent


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.mark.parametrize(
    ("spell", "value", "text"),
    [
        (milliseconds, None, "-"),
        (milliseconds, 0.0, "0.00"),
        (milliseconds, 0.00123, "0.00123"),
        (milliseconds, 1.0, "1.00"),
        (milliseconds, 23.14, "23.1"),
        (milliseconds, 99.94, "99.9"),
        (milliseconds, 99.96, "100"),
        (milliseconds, 1234.5, "1234"),
        (per_second, None, "-"),
        (per_second, 1.234, "1.23"),
        (per_second, 99.96, "100"),
        (per_second, 12345.6, "12,346"),
        (percent, 0.0, "0 %"),
        (percent, 0.00001, "<0.01 %"),
        (percent, 0.0001, "0.01 %"),
        (percent, 0.001234, "0.123 %"),
        (percent, 1.0, "100 %"),
    ],
)
def test_a_figure_has_the_digits_that_count(
    spell: Callable[[float | None], str], value: float | None, text: str
) -> None:
    assert spell(value) == text


def test_a_run_is_a_table_and_what_else_there_is_to_say() -> None:
    run = replace(
        runs.run(timings.stage([timings.window([2.0] * 99, failed=1)] * 3)),
        warnings=("the machine was busy", "the machine was busy"),
    )
    assert printed(run) == [
        "load   sent  OK/s  errors  p50 ms   p90   p99  p99.9   max  settled",
        "200/s   300    99     1 %    2.00  2.00  2.00   2.00  2.00  yes",
        "errors at 200/s: UNAVAILABLE 3",
        "note: the machine was busy",
    ]


def test_what_is_doubtful_of_several_stages_is_said_once() -> None:
    doubtful = [
        replace(runs.open_stage(rate), warnings=("p99 had not settled",)) for rate in (100, 200)
    ]

    assert "note: 100/s, 200/s: p99 had not settled" in printed(runs.run(*doubtful))


def test_doubts_of_one_kind_are_told_by_the_latest_stage() -> None:
    late = [
        replace(runs.open_stage(rate), warnings=(f"the client was late: by {rate} ms",))
        for rate in (1, 2, 3)
    ]

    notes = [line for line in printed(runs.run(*late)) if "late" in line]
    assert notes == ["note: 3/s: the client was late: by 3 ms (and the like at 1/s, 2/s)"]


def test_what_nobody_answered_has_no_latency() -> None:
    lines = printed(runs.run(runs.silent_stage()))
    assert lines[1].split() == ["200/s", "40", "0", "100", "%", *"------", "missed"]
    assert "note: 200/s: no call was answered OK" in lines


def test_a_search_tells_what_it_found() -> None:
    lines = printed(runs.search_run())

    assert lines[0].endswith("settled  objective")
    assert [line.split()[-1] for line in lines[1:7]] == ["kept"] * 4 + ["missed"] * 2
    assert "1,850/s keeps p99<=20ms, errors<=0.1%; 2,000/s does not" in lines
    assert "fails: --fail-if 'p99>20ms', p99 is 960 ms at 2400/s" in lines
    assert "passes: --fail-if 'ok/s<400', 502 answered OK per second" in lines


@pytest.mark.parametrize(
    ("best", "refused", "told"),
    [
        (None, 1.0, "no rate keeps p99<=20ms; 1/s does not"),
        (5000.0, None, "5,000/s keeps p99<=20ms; nothing higher was tried"),
    ],
)
def test_a_search_without_an_end_says_so(
    best: float | None, refused: float | None, told: str
) -> None:
    search = Search(objective="p99<=20ms", rate_per_s=best, refused_rate_per_s=refused)
    assert told in printed(runs.run(runs.closed_stage(1), search=search))


def test_a_table_fits_a_terminal_of_usual_width() -> None:
    stage = timings.stage([timings.window([2.0] * 100)], label="100/s")
    table = printed(runs.run(replace(stage, holds=True)))[:2]
    assert max(map(len, table)) <= 80


def test_texts_are_shown_as_they_are() -> None:
    stage = replace(runs.closed_stage(8), label=ODD, warnings=(ODD,), errors={ODD: 1})
    condition = replace(runs.search_run().conditions[0], text=ODD, seen=ODD)
    search = Search(objective=ODD, rate_per_s=1.0, refused_rate_per_s=None)
    run = runs.run(stage, warnings=(ODD,), conditions=(condition,), search=search)
    assert "\n".join(printed(run)).count(ODD) == 9


def test_a_comparison_is_a_table_with_intervals_and_a_verdict(screen: Screen) -> None:
    before, after = timings.random_run(1), timings.random_run(2, factor=2.0)
    print_comparison(screen, compare(before, after))

    assert re.split("  +", screen.lines[0]) == [
        *("load", "before", "after", "change", "95 % interval", "verdict")
    ]
    assert re.fullmatch(
        r"200/s  p50 +\d\.\d\d ms +[\d.]+ ms +\+\d+\.\d % +\[\+\d+\.\d, \+\d+\.\d\]  worse",
        screen.lines[1],
    )
    assert re.split("  +", screen.lines[3])[1:] == [
        *("errors", "0 %", "0 %", "+0.0 points", "[+0.0, +0.0]", "same")
    ]
    assert screen.lines[4:] == ["The second run is worse."]


def test_what_is_not_known_is_a_dash(screen: Screen) -> None:
    unknown = Difference(
        stage=ODD,
        name="p99",
        before=1.0,
        after=None,
        change=None,
        low=None,
        high=None,
        verdict="unknown",
    )
    print_comparison(screen, Comparison(differences=(unknown,), notes=(ODD,)))
    assert re.split("  +", screen.lines[1]) == [ODD, "p99", "1.00 ms", "-", "-", "-", "unknown"]
    assert screen.lines[2] == f"note: {ODD}"
    assert screen.lines[3].startswith("There is too little to tell")
