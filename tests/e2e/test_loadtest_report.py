"""The report of a load test in a real browser."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from drawn import HUES, PIXELS_OF_HUE, SEEN, blank_charts, picture, pixels, wait_until

from recserve_client.loadtest.report.page import page
from recserve_client.loadtest.result import Run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is missing")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="neither chromium nor google-chrome")

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
FLAGS += ["--disable-component-update", "--disable-sync"]
OVERLOADED = 5  # the stage with most errors

Open = Callable[..., "Page"]


@pytest.fixture(scope="module")
def runs():
    sys.path.append(str(Path(__file__).parents[1] / "unit" / "client" / "loadtest"))
    import runs

    return runs


# Not for the session: while Playwright runs, its event loop keeps others from running.
@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def open_report(browser: "Browser", tmp_path: Path) -> Iterator[Open]:
    """Opens the report of a run; whatever the browser does not like fails the test."""
    file = tmp_path / "report.html"
    complaints: list[str] = []

    def on_request(request: "Request") -> None:
        # What is downloaded is an address in the page's own memory.
        if request.url.partition("#")[0] != file.as_uri() and not request.url.startswith("blob:"):
            complaints.append(f"asked for {request.url}")

    def on_console(message: "ConsoleMessage") -> None:
        if message.type in ("warning", "error"):
            complaints.append(message.text)

    def open_(run: Run, *, scheme: str = "light", width: int = 1280) -> "Page":
        file.write_text(page(run), encoding="utf-8")
        shown = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
        shown.set_default_timeout(20_000)
        shown.on("console", on_console)
        shown.on("pageerror", lambda error: complaints.append(str(error)))
        shown.on("request", on_request)
        shown.goto(file.as_uri())
        return shown

    yield open_
    for context in browser.contexts:
        context.close()
    assert complaints == []


def stage_shown(shown: "Page") -> str:
    return shown.inner_text("#stage-name")


def overflow(shown: "Page") -> int:
    return shown.evaluate("(root => root.scrollWidth - root.clientWidth)(document.documentElement)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_chart_shows_its_figures(open_report: Open, runs, scheme: str) -> None:
    shown = open_report(runs.search_run(), scheme=scheme)

    shown.check(f"input[value='{OVERLOADED}']")

    assert blank_charts(shown) == []


@pytest.mark.long
def test_every_chart_says_in_words_what_it_shows(open_report: Open, runs) -> None:
    shown = open_report(runs.search_run())

    shown.check(f"input[value='{OVERLOADED}']")

    told = {chart: shown.get_attribute(f"#{chart} .plot[role=img]", "aria-label") for chart in HUES}
    assert "p99 75.1 to 1,000 ms" in told["latency"]
    assert "8,270 RESOURCE_EXHAUSTED" in told["errors"]
    assert "1850/s p99 15.1 ms" in told["percentiles"]
    assert all(told.values())


@pytest.mark.long
def test_charts_follow_the_colour_scheme_and_are_light_on_paper(open_report: Open, runs) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    shown = open_report(runs.search_run(), scheme="light")
    shown.check(f"input[value='{OVERLOADED}']")

    shown.emulate_media(color_scheme="dark")
    for drawn in HUES.items():
        wait_until(shown, f"drawn => ({PIXELS_OF_HUE})(drawn) >= {SEEN}", list(drawn))
    assert shown.evaluate(paper) == "rgb(17, 22, 28)"
    shown.evaluate("dispatchEvent(new Event('beforeprint'))")

    assert (shown.evaluate(paper), blank_charts(shown)) == ("rgb(255, 255, 255)", [])


def test_choosing_another_stage_draws_it(open_report: Open, runs) -> None:
    shown = open_report(runs.search_run())
    assert stage_shown(shown) == "1850/s"
    charts = ("latency", "rates", "percentiles", "load", "batches", "batch-mean", "queue")
    before = {chart: picture(shown, chart) for chart in charts}

    shown.click("tbody tr:nth-child(2) td:nth-child(4)")

    assert stage_shown(shown) == "1000/s"
    assert [chart for chart in charts if picture(shown, chart) == before[chart]] == []


def test_a_stage_is_chosen_with_the_keyboard(open_report: Open, runs) -> None:
    shown = open_report(runs.search_run())
    on_a_stage = "document.activeElement.name === 'stage'"

    presses = 0
    while presses < 5 and not shown.evaluate(on_a_stage):
        shown.keyboard.press("Tab")
        presses += 1
    shown.keyboard.press("ArrowDown")

    assert shown.evaluate(on_a_stage)
    assert stage_shown(shown) == "2000/s"


@pytest.mark.long
def test_a_stage_is_chosen_on_the_chart_of_all(open_report: Open, runs) -> None:
    shown = open_report(runs.search_run())

    shown.click("#load .u-over", position={"x": 5, "y": 100})

    assert stage_shown(shown) == "500/s"


@pytest.mark.long
def test_the_buttons_go_to_the_stages_beside(open_report: Open, runs) -> None:
    shown = open_report(runs.search_run())

    shown.click("#next", click_count=2)

    assert stage_shown(shown) == "2400/s"
    assert shown.is_checked(f"input[value='{OVERLOADED}']")


@pytest.mark.long
def test_latencies_are_drawn_on_either_scale(open_report: Open, runs) -> None:
    shown = open_report(runs.search_run())
    pressed = shown.get_attribute("#logarithmic", "aria-pressed")
    before = picture(shown, "latency")

    shown.click("#logarithmic")

    assert {pressed, shown.get_attribute("#logarithmic", "aria-pressed")} == {"true", "false"}
    assert picture(shown, "latency") != before


@pytest.mark.long
def test_the_legends_show_the_values_under_a_shared_cursor(open_report: Open, runs) -> None:
    shown = open_report(runs.search_run())
    values = shown.locator("#latency .u-value")
    assert set(values.all_inner_texts()) == {""}

    shown.hover("#rates .u-over", position={"x": 300, "y": 50})

    wait_until(shown, "document.querySelector('#latency .u-value').textContent !== ''")
    time, *latencies = values.all_text_contents()
    window = runs.search_run().stages[3].windows[int(time.split()[0])].latency
    assert float(latencies[0]) == pytest.approx(window.p50_ms, abs=0.1)
    assert float(latencies[2]) == pytest.approx(window.p99_ms, abs=0.1)


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_wider_than_the_window(open_report: Open, runs, width: int) -> None:
    run = runs.search_run()
    long = "long" * 100
    stages = [replace(stage, label=long, warnings=(long,)) for stage in run.stages]
    long_run = replace(run, stages=tuple(stages), mix=long, arguments=(long,), warnings=(long,))

    assert overflow(open_report(run, width=width)) == 0
    assert overflow(open_report(long_run, width=width)) == 0


@pytest.mark.long
def test_charts_fit_a_window_that_is_made_narrow(open_report: Open, runs) -> None:
    shown = open_report(runs.search_run(), width=1280)

    shown.set_viewport_size({"width": 400, "height": 900})

    wait_until(shown, "[...document.querySelectorAll('.uplot')].every((u) => u.offsetWidth < 400)")
    assert overflow(shown) == 0


@pytest.mark.long
def test_the_run_is_downloaded_as_json(open_report: Open, runs) -> None:
    shown = open_report(runs.search_run())

    with shown.expect_download() as coming:
        shown.click("#download")

    assert coming.value.suggested_filename == "loadtest-2026-01-02T030405+0000.json"
    saved = json.loads(Path(coming.value.path()).read_text("utf-8"))
    assert saved == json.loads(json.dumps(asdict(runs.search_run())))


@pytest.mark.long
def test_figures_that_are_not_there_are_told_in_words(open_report: Open, runs) -> None:
    silent = open_report(runs.run(runs.silent_stage()))
    closed = open_report(runs.run(runs.closed_stage(8), runs.closed_stage(16)))

    for chart in ("latency", "percentiles"):
        assert "No call was answered OK" in silent.inner_text(f"#{chart}")
    assert pixels(silent, "errors", "--hue-3") >= SEEN
    assert "No errors" in closed.inner_text("#errors")
    assert "metrics were not read" in closed.inner_text("#unread")
    assert [closed.is_hidden(f"#{chart}") for chart in list(HUES)[-3:]] == [True] * 3


@pytest.mark.long
@pytest.mark.parametrize(("rates", "seconds"), [([500], 1), (range(10, 2010, 10), 3)])
def test_one_window_and_two_hundred_stages_are_drawn(
    open_report: Open, runs, rates: Sequence[int], seconds: int
) -> None:
    shown = open_report(runs.run(*(runs.open_stage(rate, seconds=seconds) for rate in rates)))

    assert shown.locator("input[name=stage]").count() == len(rates)
    assert pixels(shown, "latency", "--hue-3") >= SEEN
    assert pixels(shown, "rates", "--hue-1") >= SEEN
    assert overflow(shown) == 0


@pytest.mark.long
def test_a_run_without_stages_is_shown(open_report: Open, runs) -> None:
    shown = open_report(runs.run())

    assert shown.is_hidden("#stage")
    assert "No stage was measured." in shown.inner_text("main")


@pytest.mark.long
def test_texts_of_a_run_are_shown_as_they_are(open_report: Open, runs) -> None:
    odd = "<img src=x onerror=alert(1)></script>"
    stage = replace(runs.open_stage(2400.0, seconds=3), label=odd)
    windows = tuple(replace(window, errors={odd: 3}) for window in stage.windows)
    stage = replace(stage, windows=windows, errors={odd: 9})

    shown = open_report(runs.run(stage, stage, mix=odd, warnings=(odd,)))

    assert stage_shown(shown) == odd
    assert odd in shown.inner_text("#errors .legend")
    assert shown.locator("img").count() == 0
