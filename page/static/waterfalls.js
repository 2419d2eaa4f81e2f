// Where the time of a request went: a row for each model, its bars on a scale of time.

import { element, svg } from "./elements.js";
import { milliseconds } from "./words.js";

const ON_TOP = ["client", "request", "call", "queue", "input", "output", "compute"]; // drawn in this order
const COLUMNS = ["Model", "From and to", "Took", "Share of the critical path"];
const SMALLEST = 0.4; // percent: narrower bars would not be seen
const LEGEND = { compute: "compute", queue: "queue", input: "tensors in and out", path: "critical path" };

// A table, so that screen readers can read it. `longest`: milliseconds of the whole width.
export function waterfall({ chart, source }, name, place, longest) {
  const head = COLUMNS.map((each) => element("th", { scope: "col" }, each));
  const sentences = [...chart.sentences, `Source: ${source}.`];
  return element(
    "article",
    { class: "waterfall" },
    element("h3", {}, name, element("span", { class: "took" }, ` ${milliseconds(chart.total_ms)}, ${place}`)),
    element(
      "table",
      {},
      element("caption", { class: "hidden" }, `Waterfall of ${name}`),
      element("colgroup", {}, ...COLUMNS.map(() => element("col"))),
      element("thead", { class: "hidden" }, element("tr", {}, ...head)),
      element("tbody", {}, ...chart.rows.map((row) => tableRow(row, longest))),
      element("tfoot", { "aria-hidden": "true" }, element("tr", {}, element("td"), element("td", {}, axis(longest)))),
    ),
    element("ul", { class: "remarks" }, ...sentences.map((each) => element("li", {}, each))),
  );
}

function tableRow(row, longest) {
  return element(
    "tr",
    {},
    element("th", { scope: "row", "data-depth": Math.min(row.depth, 4) }, row.label),
    element("td", {}, bars(row, longest)),
    element("td", { class: "number" }, milliseconds(row.busy_ms)),
    element("td", { class: "number" }, row.share === null ? "" : shareOf(row.share)),
  );
}

const shareOf = (share) => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;

function bars(row, longest) {
  const from = Math.min(...row.bars.map(({ start_ms }) => start_ms));
  const to = Math.max(...row.bars.map(({ end_ms }) => end_ms));
  const drawn = [...row.bars].sort((one, other) => ON_TOP.indexOf(one.kind) - ON_TOP.indexOf(other.kind));
  return svg(
    "svg",
    { class: "bars", role: "img", "aria-label": `${milliseconds(from)} to ${milliseconds(to)}`, height: 20 },
    ...drawn.map(({ kind, start_ms, end_ms }) => bar(start_ms, end_ms, longest, { class: kind, y: 3, height: 11 })),
    ...row.critical.map(([start, end]) => bar(start, end, longest, { class: "path", y: 16, height: 3 })),
  );
}

function bar(start, end, longest, attributes) {
  // Triton closes a step after its outputs are out: a bar may end after the answer.
  const width = Math.max(((Math.min(end, longest) - start) / longest) * 100, SMALLEST);
  return svg("rect", { x: `${Math.min((start / longest) * 100, 100 - width)}%`, width: `${width}%`, ...attributes });
}

function axis(longest) {
  const step = niceStep(longest);
  const ticks = Array.from({ length: Math.floor(longest / step) + 1 }, (_, at) => at * step);
  return svg("svg", { class: "axis", height: 20 }, ...ticks.flatMap((tick, at) => {
    const x = `${(tick / longest) * 100}%`;
    const unit = at + 1 === ticks.length ? " ms" : "";
    return [
      svg("line", { x1: x, x2: x, y1: 0, y2: 4 }),
      svg("text", { x, y: 16, "text-anchor": tick ? "middle" : "start" }, `${Number(tick.toPrecision(3))}${unit}`),
    ];
  }));
}

// 1, 2 or 5 times a power of ten, for one to four ticks after the first.
function niceStep(longest) {
  const power = 10 ** Math.floor(Math.log10(longest / 4));
  return [1, 2, 5, 10].map((each) => each * power).find((step) => longest / step < 5);
}

export const legend = () =>
  Object.entries(LEGEND).map(([kind, words]) => {
    const height = kind === "path" ? 3 : 12;
    const mark = svg("rect", { class: kind, width: 12, y: (12 - height) / 2, height });
    return element("li", {}, svg("svg", { class: "key", "aria-hidden": "true", width: 12, height: 12 }, mark), words);
  });
