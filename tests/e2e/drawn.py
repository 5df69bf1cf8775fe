"""What the charts of a load test's page show, read off their pixels."""

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


def pixels(shown: "Page", chart: str, hue: str) -> int:
    return shown.evaluate(PIXELS_OF_HUE, [chart, hue])


def picture(shown: "Page", chart: str) -> str:
    return shown.evaluate("id => document.querySelector(`#${id} canvas`).toDataURL()", chart)


def blank_charts(shown: "Page") -> list[str]:
    """The charts on which their own colour does not show."""
    return [chart for chart, hue in HUES.items() if pixels(shown, chart, hue) < SEEN]
