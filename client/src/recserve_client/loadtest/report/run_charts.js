"use strict";
// The charts of all stages.

const PERCENTILE_TICKS = [50, 90, 99, 99.9, 99.99, 99.999, 99.9999];
// More stages than these are drawn in grey, all but the selected one.
const OVERLAID = 6;

function drawPercentiles(run, selected, isLogarithmic) {
  const known = run.stages.map((stage, place) => ({ stage, place }));
  const curves = known.filter(({ stage }) => stage.percentiles.length);
  if (!curves.length) {
    return sayEmpty("percentiles", "No call was answered OK, so there are no percentiles.");
  }
  const isNamed = (place) => curves.length <= OVERLAID || place === selected;
  // Grey ones first, so that the selected one lies on top.
  curves.sort((a, b) => isNamed(a.place) - isNamed(b.place) || a.place - b.place);
  const data = uPlot.join(curves.map(({ stage }) => curve(stage.percentiles, isLogarithmic)));
  const series = curves.map(({ stage, place }) =>
    line(stage.label, isNamed(place) ? HUES[place % HUES.length] : "--faint", {
      width: place === selected ? 3 : 1.25,
      spanGaps: true,
      points: { show: false },
      class: isNamed(place) ? "line" : "unnamed",
    }),
  );
  const areNamed = curves.length <= OVERLAID;
  caption("percentiles", areNamed ? "all stages; the selected bold" : "all but the selected grey");
  const named = curves.filter(({ place }) => isNamed(place));
  draw("percentiles", {
    height: 280,
    summary: `Latency by percentile: ${named.map(({ stage }) => `${stage.label} p99 ${ms(stage.latency.p99_ms)}`).join(", ")}`,
    scales: {
      x: { time: false, range: (_, low, high) => [0, Math.max(high, 2)] },
      y: msScale(isLogarithmic),
    },
    axes: [percentileAxis(), msAxis("latency, ms", isLogarithmic)],
    series: [
      { label: "percentile", class: "place", value: shown((x) => tick(100 - 100 / 10 ** x)) },
      ...series,
    ],
    cursor: { y: false, drag: { x: false } },
    padding: [8, 28, 0, 0],
    data,
  });
}

function percentileAxis() {
  return axis("percentile", {
    size: 24,
    splits: () => PERCENTILE_TICKS.map(nines),
    values: () => PERCENTILE_TICKS.map(String),
    filter: (plot, splits) => splits.map((x) => (x <= plot.scales.x.max + 1e-9 ? x : null)),
  });
}

// How far along the axis a percentile stands: at 90 one, at 99 two, at 99.9 three.
function nines(percentile) {
  return Math.log10(100 / (100 - percentile));
}

function curve(percentiles, isLogarithmic) {
  const points = new Map();
  for (const [percentile, ms] of percentiles) {
    // Percentile 100 would stand infinitely far to the right; it is the maximum in the table.
    if (percentile < 100) points.set(Number(nines(percentile).toFixed(6)), ms);
  }
  return [[...points.keys()], drawable([...points.values()], isLogarithmic)];
}

function drawLoad(run, selected, goal, isLogarithmic, select) {
  const { key, name } = goal ?? { key: "p99_ms", name: "p99" };
  const known = run.stages.map((stage, place) => ({ stage, place, ms: stage.latency[key] }));
  const points = known.filter(({ ms }) => ms != null && (ms > 0 || !isLogarithmic));
  if (run.stages.length < 2) return hide("load");
  if (!points.length)
    return sayEmpty("load", "No call was answered OK, so there are no latencies.");
  points.sort((a, b) => a.stage.ok_per_s - b.stage.ok_per_s || a.place - b.place);
  const refused = points.some(({ stage }) => stage.holds === false);
  const hollow = refused ? "hollow: does not hold; " : "";
  caption("load", `all stages in order of their rate; ${hollow}click to select`);
  const rates = points.map(({ stage }) => stage.ok_per_s);
  const latencies = points.map(({ ms }) => ms);
  draw("load", {
    height: 280,
    summary: `${name} of ${extent(latencies, "ms")} at ${extent(rates, "OK per second")}`,
    scales: {
      x: { time: false, range: fromZero },
      y: withGoal(msScale(isLogarithmic), goal),
    },
    axes: [
      axis("answered OK per second", { size: 24, values: (_, splits) => splits.map(tick) }),
      msAxis(`${name}, ms`, isLogarithmic),
    ],
    series: [
      {
        label: "stage",
        class: "place",
        value: shown((value, i) => `${points[i].stage.label}, ${rate(value)} OK/s`),
      },
      line(`${name}, ms`, "--hue-1", { paths: inOrderOfRate(points), points: { show: false } }),
    ],
    cursor: { y: false, drag: { x: false } },
    hooks: {
      draw: [...(goal ? [limit(goal.ms, goal.text)] : []), dots(points, selected)],
      ready: [(plot) => onClick(plot, (place) => select(points[place].place))],
    },
    data: [rates, latencies],
  });
}

function onClick(plot, choose) {
  plot.over.addEventListener("click", () => {
    if (plot.cursor.idx != null) choose(plot.cursor.idx);
  });
}

function withGoal(scale, goal) {
  if (!goal) return scale;
  const range = (plot, low, high) =>
    scale.range(plot, Math.min(low, goal.ms), Math.max(high, goal.ms));
  return { ...scale, range };
}

// Beyond its capacity a server may answer fewer calls than before, so the line can turn back.
function inOrderOfRate(points) {
  const pressure = ({ stage }) => stage.rate_per_s ?? stage.concurrency ?? 0;
  const isOneKind = new Set(points.map(({ stage }) => stage.mode)).size === 1;
  const order = points.map((_, i) => i);
  if (isOneKind) order.sort((a, b) => pressure(points[a]) - pressure(points[b]));
  return (plot) => {
    const stroke = new Path2D();
    for (const i of order) {
      stroke.lineTo(
        plot.valToPos(plot.data[0][i], "x", true),
        plot.valToPos(plot.data[1][i], "y", true),
      );
    }
    return { stroke, fill: null, clip: null, flags: 0 };
  };
}

function dots(points, selected) {
  return (plot) => {
    const { ctx } = plot;
    const ratio = uPlot.pxRatio;
    const radius = (points.length > 40 ? 2 : 4) * ratio;
    ctx.save();
    ctx.strokeStyle = colour("--hue-1");
    ctx.lineWidth = 2 * ratio;
    points.forEach(({ stage, place, ms }) => {
      const [x, y] = [plot.valToPos(stage.ok_per_s, "x", true), plot.valToPos(ms, "y", true)];
      ctx.fillStyle = colour(stage.holds === false ? "--paper" : "--hue-1");
      circle(ctx, x, y, radius);
      ctx.fill();
      if (place === selected) circle(ctx, x, y, radius + 4 * ratio);
    });
    ctx.restore();
  };
}

function circle(ctx, x, y, radius) {
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 2 * Math.PI);
  ctx.stroke();
}
