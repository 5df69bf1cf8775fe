"use strict";
// What all charts share: numbers, colours, axes, and the frame around a plot.

const UNKNOWN = "–";
const HUES = ["--hue-1", "--hue-2", "--hue-3", "--hue-4", "--hue-5", "--hue-6"];
// A line has a piece of it in the legend, a pile of bars a patch.
const MARKERS = {
  width: (plot, series) => plot.series[series].width,
  dash: (plot, series) => (plot.series[series].dash ? "dashed" : "solid"),
};
const TIME_STEPS_S = [
  0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200,
  14400, 28800,
];

// Numbers, by the rules of numbers.py.

function fixed(value, digits) {
  return value.toLocaleString("en-US", {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
}

function number(value) {
  if (value == null) return UNKNOWN;
  const size = Math.abs(value);
  return fixed(value, size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

function ms(value) {
  return value == null ? UNKNOWN : `${number(value)} ms`;
}

function count(value) {
  return value == null ? UNKNOWN : value.toLocaleString("en-US", { maximumFractionDigits: 0 });
}

function rate(value) {
  if (value == null) return UNKNOWN;
  return value >= 100 ? count(value) : String(Number(value.toPrecision(4)));
}

function percent(share) {
  if (share == null) return UNKNOWN;
  if (share === 0 || share === 1) return String(100 * share);
  if (share < 0.0001) return "<0.01";
  if (share > 0.9999 && share < 1) return ">99.99";
  return fixed(100 * share, share < 0.1 ? 2 : 1);
}

function clock(seconds) {
  const whole = Math.round(seconds);
  const two = (value) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

function extent(values, unit) {
  const known = values.filter((value) => value != null);
  if (!known.length) return "unknown";
  const [low, high] = known.reduce(
    ([least, most], value) => [Math.min(least, value), Math.max(most, value)],
    [Infinity, -Infinity],
  );
  return low === high ? `${number(low)} ${unit}` : `${number(low)} to ${number(high)} ${unit}`;
}

// The page.

function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.textContent = text;
  return made;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Each of these figures holds a plot or a line that says why there is none.
const drawn = new Map();

function clear(id) {
  const figure = document.getElementById(id);
  drawn.get(id)?.destroy();
  drawn.delete(id);
  figure.querySelectorAll(".plot, .legend, .empty").forEach((part) => part.remove());
  figure.hidden = false;
  return figure;
}

function caption(id, text) {
  document.getElementById(id).querySelector("figcaption p").textContent = text;
}

function sayEmpty(id, text) {
  clear(id).append(element("p", "empty", text));
}

function hide(id) {
  clear(id).hidden = true;
}

function draw(id, { summary, data, height = 220, ...options }) {
  const figure = clear(id);
  const plot = element("div", "plot");
  const legend = element("div", "legend");
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", summary);
  figure.append(plot, legend);
  const mount = (_, table) => legend.append(table);
  const size = { width: Math.max(plot.clientWidth, 160), height };
  const base = { ...size, padding: [8, 16, 0, 0], legend: { mount, markers: MARKERS } };
  const series = data[0].length === 1 ? options.series.map(enlarged) : options.series;
  drawn.set(id, new uPlot({ ...base, ...options, series }, data, plot));
}

// A line of one point is a dot: it must be seen, a broad one also beneath those that follow.
function enlarged(series) {
  if (!series.points || series.points.show === false) return series;
  return { ...series, points: { ...series.points, size: 6 * series.width } };
}

function fitAll() {
  for (const [id, chart] of drawn) {
    const width = document.getElementById(id).querySelector(".plot").clientWidth;
    if (width && width !== chart.width) chart.setSize({ width, height: chart.height });
  }
}

// Parts of uPlot's options.

function axis(label, more = {}) {
  const grid = { stroke: colour("--grid"), width: 1 };
  const font = getComputedStyle(document.body).fontFamily;
  return {
    label,
    stroke: colour("--muted"),
    font: `12px ${font}`,
    labelFont: `12px ${font}`,
    labelSize: 18,
    labelGap: 2,
    gap: 4,
    grid,
    ticks: { ...grid, size: 4 },
    ...more,
  };
}

function upright(label, more = {}) {
  // As wide on every chart, so that those one above the other share their axis of time.
  return axis(label, { size: 54, values: (_, splits) => splits.map(tick), ...more });
}

const COUNTS = [1, 2, 5].flatMap((first) => Array.from({ length: 10 }, (_, i) => first * 10 ** i));
COUNTS.sort((a, b) => a - b);

// At 1, 2 .. 9, 10, 20 .. within the scale; uPlot's own begin wherever the scale does.
function logSplits(_, __, low, high) {
  const splits = [];
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++) {
    for (let digit = 1; digit < 10; digit++) {
      const value = Number(`${digit}e${power}`);
      if (value >= low && value <= high) splits.push(value);
    }
  }
  return splits;
}

// Names the powers of ten, and those between if there are few.
function logNames(_, splits) {
  const digit = (value) => Number(value.toExponential()[0]);
  const kept = ["1", "125", "123456789"].map((digits) => (value) => digits.includes(digit(value)));
  const named = kept.find((keep) => splits.filter(keep).length >= 3) ?? kept.at(-1);
  return splits.map((value) => (named(value) ? tick(value) : ""));
}

function tick(value) {
  return value == null ? "" : value.toLocaleString("en-US", { maximumSignificantDigits: 6 });
}

function line(label, hue, more = {}) {
  const stroke = colour(hue);
  return {
    label,
    class: "line",
    stroke,
    width: 1.75,
    points: { size: 5, fill: stroke, stroke },
    value: shown(number),
    ...more,
  };
}

// The legend shows values only where the cursor is.
function shown(format) {
  return (_, value, series, place) => (place == null ? "" : format(value, place, series));
}

function fromZero(_, low, high) {
  return [0, high > 0 ? high * 1.06 : 1];
}

function msScale(isLogarithmic) {
  if (!isLogarithmic) return { range: fromZero };
  const range = (_, low, high) => (low > 0 && high > 0 ? [low / 1.25, high * 1.25] : [0.1, 100]);
  return { distr: 3, range };
}

function msAxis(label, isLogarithmic) {
  if (!isLogarithmic) return upright(label);
  return upright(label, { splits: logSplits, values: logNames, filter: (_, splits) => splits });
}

// A logarithm has no place for zero, which a clock too coarse may give.
function drawable(values, isLogarithmic) {
  return isLogarithmic ? values.map((value) => (value > 0 ? value : null)) : values;
}

// Bars from `edges[i][0]` to `edges[i][1]` along x, standing on `base`; for piles of bars.
function bars(edges, base) {
  return (plot, series, first, last) => {
    const fill = new Path2D();
    for (let i = first; i <= last; i++) {
      const [low, high] = [base[i], plot.data[series][i]];
      if (!(high > low)) continue;
      const [left, right] = edges[i].map((x) => Math.round(plot.valToPos(x, "x", true)));
      const bottom = Math.round(plot.valToPos(low, "y", true));
      const top = Math.min(Math.round(plot.valToPos(high, "y", true)), bottom - 1);
      const gap = right - left > 4 ? 1 : 0;
      fill.rect(left + gap, top, Math.max(right - left - 2 * gap, 1), bottom - top);
    }
    return { stroke: null, fill, clip: null, flags: 1 };
  };
}

function pile(label, hue, more = {}) {
  const fill = colour(hue);
  return { label, fill, stroke: fill, width: 0, points: { show: false }, ...more };
}

// A line across the plot with its name, such as the objective of a search.
function limit(value, text) {
  return (plot) => {
    if (value < plot.scales.y.min || value > plot.scales.y.max) return;
    const { ctx, bbox } = plot;
    const ratio = uPlot.pxRatio;
    const y = Math.round(plot.valToPos(value, "y", true)) + 0.5;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour("--bad");
    ctx.lineWidth = ratio;
    ctx.setLineDash([6 * ratio, 4 * ratio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.font = `${12 * ratio}px ${getComputedStyle(document.body).fontFamily}`;
    ctx.textAlign = "left";
    ctx.textBaseline = y - bbox.top > 18 * ratio ? "bottom" : "top";
    ctx.setLineDash([]);
    ctx.lineWidth = 4 * ratio;
    ctx.strokeStyle = colour("--paper");
    ctx.strokeText(text, bbox.left + 6 * ratio, y - ratio);
    ctx.fillText(text, bbox.left + 6 * ratio, y - ratio);
    ctx.restore();
  };
}
