"""What the charts of a load test's page show, read off their pixels."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

SEEN = 10
"""Pixels that are no accident."""

# Each chart and a colour that only what it shows is drawn in.
HUES = {
    "latency": "--hue-3",
    "rates": "--hue-1",
    "errors": "--hue-3",
    "percentiles": "--hue-6",
    "load": "--hue-1",
    "batches": "--hue-1",
    "batch-mean": "--hue-2",
    "queue": "--hue-4",
}


PIXELS_OF_HUE = """([id, hue]) => {
    const drawn = document.querySelector(`#${id} canvas`);
    const copy = new OffscreenCanvas(drawn.width, drawn.height);
    const context = copy.getContext("2d", { willReadFrequently: true });
    context.drawImage(drawn, 0, 0);
    const { data } = context.getImageData(0, 0, copy.width, copy.height);
    const code = getComputedStyle(document.documentElement).getPropertyValue(hue).trim();
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(code.slice(at, at + 2), 16));
    let count = 0;
    for (let i = 0; i < data.length; i += 4)
        count += data[i] === red && data[i + 1] === green && data[i + 2] === blue;
    return count;
}"""


def wait_until(shown: "Page", script: str, given: object = None) -> None:
    """Waits until `script` is true in the page, which is told of events in its own time.

    Asks from outside: `wait_for_function` asks again by `eval`, which the page does not allow.
    """
    end_s = time.monotonic() + 20.0
    while not shown.evaluate(script, given):
        assert time.monotonic() < end_s, f"not so in 20 s: {script}"
        shown.wait_for_timeout(20)


def pixels(shown: "Page", chart: str, hue: str) -> int:
    return shown.evaluate(PIXELS_OF_HUE, [chart, hue])


def picture(shown: "Page", chart: str) -> str:
    return shown.evaluate("id => document.querySelector(`#${id} canvas`).toDataURL()", chart)


def blank_charts(shown: "Page") -> list[str]:
    """The charts on which their own colour does not show."""
    return [chart for chart, hue in HUES.items() if pixels(shown, chart, hue) < SEEN]
