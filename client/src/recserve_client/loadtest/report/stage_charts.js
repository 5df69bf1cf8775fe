"use strict";
// The charts of one stage.

const LINES = [
  ["p50", "p50_ms", "--hue-1", {}],
  ["p90", "p90_ms", "--hue-2", {}],
  ["p99", "p99_ms", "--hue-3", { width: 2.25 }],
  ["max", "max_ms", "--hue-6", { width: 1.25, dash: [4, 3] }],
];
const ERROR_HUES = ["--hue-3", "--hue-1", "--hue-4", "--hue-5", "--hue-2", "--hue-6"];
const OTHERS = "others";

// Over its time.

function overTime(stage, { axes, hooks = {} }) {
  const total = stage.seconds;
  const middles = stage.windows.map(({ start_s, seconds }) => start_s + seconds / 2);
  const name = (value, place) => {
    const { start_s, seconds } = stage.windows[place];
    const digits = Number.isInteger(start_s) && Number.isInteger(seconds) ? 0 : 1;
    return `${fixed(start_s, digits)} to ${fixed(start_s + seconds, digits)} s`;
  };
  const range = (_, low, high) =>
    low == null || (low === middles[0] && high === middles.at(-1)) ? [0, total] : [low, high];
  return {
    middles,
    x: { label: "at", class: "place", value: shown(name) },
    options: {
      scales: { x: { time: false, range } },
      axes: [
        axis(total > 180 ? "time, m:ss" : "time, seconds", {
          size: 24,
          incrs: TIME_STEPS_S,
          values: (_, splits) => splits.map(total > 180 ? clock : tick),
        }),
        ...axes,
      ],
      cursor: { sync: { key: "time", scales: ["x", null] }, y: false },
      hooks,
    },
  };
}

function drawLatency(stage, goal, isLogarithmic) {
  if (!stage.windows.some((window) => window.ok)) {
    return sayEmpty("latency", "No call was answered OK, so there are no latencies.");
  }
  const hooks = goal ? { draw: [limit(goal.ms, goal.text)] } : {};
  const time = overTime(stage, { axes: [msAxis("latency, ms", isLogarithmic)], hooks });
  const values = LINES.map(([, key]) => stage.windows.map(({ latency }) => latency[key]));
  const told = LINES.map(([name], i) => `${name} ${extent(values[i], "ms")}`).join(", ");
  time.options.scales.y = msScale(isLogarithmic);
  draw("latency", {
    ...time.options,
    height: 260,
    summary: `Latency over time at ${stage.label}: ${told}`,
    data: [time.middles, ...values.map((each) => drawable(each, isLogarithmic))],
    series: [time.x, ...LINES.map(([name, , hue, more]) => line(`${name}, ms`, hue, more))],
  });
}

function drawRates(stage) {
  const per = (key) => stage.windows.map((window) => window[key] / window.seconds);
  const [sent, ok] = [per("started"), per("ok")];
  const planned = stage.windows.map((window) => window.rate_per_s);
  const time = overTime(stage, { axes: [upright("calls per second")] });
  time.options.scales.y = { range: fromZero };
  const plain = { value: shown(rate) };
  const dots = stage.windows.length === 1 ? {} : { points: { show: false } };
  // Sent lies on top: mostly the two are one line, and its gaps show the other.
  const series = [
    line("OK/s", "--hue-1", { ...plain, width: 2.5 }),
    line("sent/s", "--hue-3", { ...plain, width: 1.5, dash: [5, 4], ...dots }),
  ];
  const data = [time.middles, ok, sent];
  if (planned.some((value) => value != null)) {
    series.push(line("planned/s", "--hue-6", { ...plain, width: 1, ...dots }));
    data.push(planned);
  }
  draw("rates", {
    ...time.options,
    summary: `Rate at ${stage.label}: sent ${extent(sent, "per second")}, OK ${extent(ok, "per second")}`,
    data,
    series: [time.x, ...series],
  });
}

function drawErrors(stage, statuses) {
  const total = (status) => statusCount(stage.errors, status, statuses);
  const seen = statuses.filter((status) =>
    stage.windows.some((window) => statusCount(window.errors, status, statuses)),
  );
  if (!seen.length) return sayEmpty("errors", "No errors: every call that ended was answered OK.");
  const time = overTime(stage, { axes: [upright("calls per window", { incrs: COUNTS })] });
  time.options.scales.y = { range: fromZero };
  const edges = stage.windows.map(({ start_s, seconds }) => [start_s, start_s + seconds]);
  let base = stage.windows.map(() => 0);
  const [tops, series] = [[], []];
  for (const status of seen) {
    const counts = stage.windows.map((window) => statusCount(window.errors, status, statuses));
    const top = base.map((low, i) => low + counts[i]);
    series.push(
      pile(`${status}, ${count(total(status))} in all`, ERROR_HUES[statuses.indexOf(status)], {
        paths: bars(edges, base),
        value: shown((_, place) => count(counts[place])),
      }),
    );
    tops.push(top);
    base = top;
  }
  draw("errors", {
    ...time.options,
    height: 170,
    summary: `Errors at ${stage.label}: ${seen.map((each) => `${count(total(each))} ${each}`).join(", ")}`,
    data: [time.middles, ...tops],
    series: [time.x, ...series],
  });
}

// The statuses that have a colour of their own in this run, most frequent first.
function statusesOf(run) {
  const totals = new Map();
  for (const { errors } of run.stages) {
    for (const [status, seen] of Object.entries(errors)) {
      totals.set(status, (totals.get(status) ?? 0) + seen);
    }
  }
  const sorted = [...totals].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const names = sorted.map(([status]) => status);
  return names.length > ERROR_HUES.length
    ? [...names.slice(0, ERROR_HUES.length - 1), OTHERS]
    : names;
}

function statusCount(errors, status, statuses) {
  if (status !== OTHERS) return Object.hasOwn(errors, status) ? errors[status] : 0;
  const rest = Object.entries(errors).filter(([name]) => !statuses.includes(name));
  return rest.reduce((sum, [, seen]) => sum + seen, 0);
}

// What the server's metrics say.

function drawBatches(stage) {
  const [means, depths] = ["mean_batch_size", "queue_depth"].map((key) =>
    stage.windows.map((window) => window[key]),
  );
  const isKnown = (values) => values.some((value) => value != null);
  const hasSizes = stage.batch_sizes.some(([, calls]) => calls);
  document.getElementById("unread").hidden = hasSizes || isKnown(means) || isKnown(depths);
  if (hasSizes) drawBatchSizes(stage);
  else hide("batches");
  if (isKnown(means)) drawGauge("batch-mean", stage, means, ["requests per call", "--hue-2"]);
  else hide("batch-mean");
  if (isKnown(depths)) drawGauge("queue", stage, depths, ["requests", "--hue-4"]);
  else hide("queue");
}

function drawBatchSizes(stage) {
  const sizes = stage.batch_sizes;
  const last = sizes.findLastIndex(([, calls]) => calls);
  const kept = sizes.slice(0, last + 1);
  const names = kept.map(([bound], i) => batchName(kept[i - 1]?.[0], bound));
  const bounds = kept.map(([bound], i) => (Number.isFinite(Number(bound)) ? bound : names[i]));
  const places = kept.map((_, i) => i);
  const calls = kept.map(([, seen]) => seen);
  draw("batches", {
    summary: `Batch sizes at ${stage.label}: ${names.map((name, i) => `${count(calls[i])} of ${name}`).join(", ")}`,
    scales: { x: { time: false, range: () => [-0.6, kept.length - 0.4] }, y: { range: fromZero } },
    axes: [
      axis("requests per call, at most", {
        size: 24,
        splits: () => places,
        values: () => bounds,
        grid: { show: false },
      }),
      upright("model calls", { incrs: COUNTS }),
    ],
    series: [
      { label: "size", class: "place", value: shown((_, i) => names[i]) },
      pile("calls", "--hue-1", {
        paths: bars(
          places.map((i) => [i - 0.42, i + 0.42]),
          places.map(() => 0),
        ),
        value: shown(count),
      }),
    ],
    cursor: { y: false, x: false, drag: { x: false } },
    data: [places, calls],
  });
}

function batchName(below, bound) {
  const [low, high] = [below === undefined ? 1 : Number(below) + 1, Number(bound)];
  if (!Number.isFinite(high)) return `${low}+`;
  return low < high ? `${low}–${high}` : String(high);
}

function drawGauge(id, stage, values, [label, hue]) {
  const time = overTime(stage, { axes: [upright(label)] });
  time.options.scales.y = { range: fromZero };
  draw(id, {
    ...time.options,
    summary: `${label} over time at ${stage.label}: ${extent(values, "")}`,
    data: [time.middles, values],
    series: [time.x, line(label, hue)],
  });
}
