"use strict";
// The page: which stage is shown, what is said of it, and when the charts are drawn anew.

const RUN = JSON.parse(document.getElementById("run").textContent);
const STATUSES = statusesOf(RUN);
const LATENCY_NAMES = {
  50: "p50",
  75: "p75",
  90: "p90",
  95: "p95",
  99: "p99",
  99.9: "p999",
  999: "p999",
};
const GOAL = goalOf(RUN.search);
const CHOICES = [...document.querySelectorAll("input[name=stage]")];

let selected = Math.max(
  CHOICES.findIndex((choice) => choice.checked),
  0,
);
let isLogarithmic = spread(RUN.stages) > 50;

// The latency that a search wants to keep: "p99<=20ms, errors<=0.1%" is 20 ms at p99.
function goalOf(search) {
  const found = /\bp(\d+(?:\.\d+)?)\s*<=?\s*(\d+(?:\.\d+)?)\s*(us|ms|s)\b/i.exec(
    search?.objective ?? "",
  );
  const name = found && LATENCY_NAMES[found[1]];
  if (!name) return null;
  const ms = Number(found[2]) * { us: 0.001, ms: 1, s: 1000 }[found[3].toLowerCase()];
  return { ms, name: `p${found[1]}`, key: `${name}_ms`, text: found[0] };
}

// How many times the slowest stage's p99 is the fastest one's median.
function spread(stages) {
  const known = stages.filter(({ latency }) => latency.p50_ms > 0);
  const slowest = Math.max(...known.map(({ latency }) => latency.p99_ms ?? 0));
  return slowest / Math.min(...known.map(({ latency }) => latency.p50_ms));
}

function select(place) {
  if (!(place in RUN.stages)) return;
  selected = place;
  CHOICES[place].checked = true;
  keepInSight(CHOICES[place].closest("tr"));
  show();
}

// Scrolls the table only: the page stays where it is.
function keepInSight(row) {
  const box = row.closest(".table");
  const head = box.querySelector("thead").offsetHeight;
  const top = row.offsetTop - head;
  const bottom = row.offsetTop + row.offsetHeight - box.clientHeight;
  box.scrollTop = Math.max(Math.min(box.scrollTop, top), bottom);
}

function show() {
  const stage = RUN.stages[selected];
  tellStage(stage);
  tellClient(stage);
  drawLatency(stage, GOAL, isLogarithmic);
  drawRates(stage);
  drawErrors(stage, STATUSES);
  drawPercentiles(RUN, selected, isLogarithmic);
  drawLoad(RUN, selected, GOAL, isLogarithmic, select);
  drawBatches(stage);
}

function tellStage(stage) {
  const failed = Object.values(stage.errors).reduce((sum, seen) => sum + seen, 0);
  const ended = stage.ok + failed;
  document.getElementById("stage-name").textContent = stage.label;
  const figures = [
    `${rate(stage.ok_per_s)} OK/s`,
    `p50 ${ms(stage.latency.p50_ms)}`,
    `p99 ${ms(stage.latency.p99_ms)}`,
    `errors ${percent(ended ? failed / ended : 0)} %`,
    `${rate(stage.seconds)} s after ${rate(stage.warmup_s)} s of warm-up`,
  ];
  const spans = figures.map((text) => element("span", "", text));
  document.getElementById("stage-figures").replaceChildren(...spans);
  document.getElementById("previous").disabled = selected === 0;
  document.getElementById("next").disabled = selected === RUN.stages.length - 1;
  document.getElementById("logarithmic").setAttribute("aria-pressed", String(isLogarithmic));
}

// Whether the figures are the server's or the client's own.
function tellClient({ client, answers, started }) {
  const shares = element("div", "shares");
  client.cpu_shares.forEach((share, i) => shares.append(meter(`process ${i + 1}`, share)));
  const late = started ? ` (${percent(client.late / started)} %)` : "";
  const told = [
    ["CPU, share of a core", shares],
    ["Late by, p99", ms(client.lag_p99_ms)],
    ["Late by, at most", ms(client.lag_max_ms)],
    ["Left over 1 ms late", `${count(client.late)} of ${count(started)} calls${late}`],
    ["Never sent", `${count(client.unsent)} calls`],
    ["Answers read", sampleText(answers)],
  ];
  const list = element("dl", "terms");
  for (const [term, value] of told) {
    const said = element("dd");
    said.append(value);
    list.append(element("dt", "", term), said);
  }
  document.getElementById("client").replaceChildren(list);
}

function meter(name, share) {
  const row = element("div", "share");
  const bar = element("span", share > 0.8 ? "track full" : "track");
  const filled = element("span", "filled");
  filled.style.width = `${Math.min(Math.max(share, 0), 1) * 100}%`;
  bar.append(filled);
  row.append(element("span", "", name), bar, element("span", "figure", `${percent(share)} %`));
  return row;
}

function sampleText({ sampled, personal_share: personal, short_share: short, model_versions: by }) {
  if (!sampled) return "none";
  const parts = [count(sampled)];
  if (personal != null) parts.push(`${percent(personal)} % made for who asked`);
  if (short != null) parts.push(`${percent(short)} % with fewer items than wanted`);
  if (by.length) parts.push(`by ${by.join(", ")}`);
  return parts.join(" · ");
}

function offerDownload() {
  const link = document.getElementById("download");
  const json = document.getElementById("run").textContent;
  link.href = URL.createObjectURL(new Blob([json], { type: "application/json" }));
  link.download = `loadtest-${RUN.started_at.replace(/[^0-9A-Za-z+-]/g, "")}.json`;
  link.hidden = false;
}

// On paper everything is light and as wide as a sheet.
function print(isPrinting) {
  document.documentElement.classList.toggle("printing", isPrinting);
  show();
}

function listen() {
  for (const choice of CHOICES) {
    choice.addEventListener("change", () => select(Number(choice.value)));
    choice.closest("tr").addEventListener("click", () => select(Number(choice.value)));
  }
  document.getElementById("previous").addEventListener("click", () => select(selected - 1));
  document.getElementById("next").addEventListener("click", () => select(selected + 1));
  document.getElementById("logarithmic").addEventListener("click", () => {
    isLogarithmic = !isLogarithmic;
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  addEventListener("beforeprint", () => print(true));
  addEventListener("afterprint", () => print(false));
  // After the frame, since a plot that changes its size while sizes are observed is reported.
  new ResizeObserver(() => requestAnimationFrame(fitAll)).observe(document.querySelector("main"));
}

offerDownload();
if (RUN.stages.length) {
  document.getElementById("stage").hidden = false;
  select(selected);
  listen();
}
