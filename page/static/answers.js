// Both pipelines' answers.

import { element, svg } from "./elements.js";
import { bandName, capital, figure, percent, range, several } from "./words.js";

const WORDS_OF_FLAGS = { short: "short", "not-prose": "not prose" };
const SAME = 1e-5; // what two placements of the same models may differ by
const SCALE = [-4.5, 2.5]; // scores at its ends; wider if the training excerpts' are

export function verdict(scored) {
  if (!scored) return "No score";
  const parts = [
    scored.percentile === null ? null : `easier than ${percent(scored.percentile)} of the training excerpts`,
    scored.level && `about CEFR ${scored.level}`,
  ].filter(Boolean);
  return [capital(bandName(scored) ?? `score ${figure(scored.score)}`), parts.join(", ")].filter(Boolean).join(": ");
}

export function agreement({ pipelines, passages }) {
  const words = passages.reduce((sum, each) => sum + each.words, 0);
  const about = `${several(words, "word")} in ${several(passages.length, "passage")}.`;
  const scores = Object.values(pipelines).map(({ score }) => score ?? null);
  const known = scores.filter((score) => score !== null);
  if (!known.length) return `${about} Neither pipeline gives a score.`;
  if (known.length < scores.length) return `${about} One of the pipelines gives no score.`;
  const difference = Math.max(...known) - Math.min(...known);
  if (difference <= SAME) return `${about} Both pipelines give the same score.`;
  return `${about} The pipelines differ by ${figure(difference, difference < 0.01 ? 5 : 2)}.`;
}

// `quantiles`: of the training excerpts' scores, for the ends of the scale.
export function answerCard(name, answer, quantiles) {
  const scored = answer.pipelines[name];
  const title = element("h3", {}, name);
  if (scored.error) {
    const failed = element("p", { class: "failed" }, capital(scored.error.message));
    return element("article", { class: "card answer" }, title, failed);
  }
  return element(
    "article",
    { class: "card answer" },
    title,
    element("dl", { class: "figures" }, ...figures(scored)),
    ...(scored.score === null ? [] : [scale(scored, quantiles), underScale(scored)]),
    element("ul", { class: "remarks" }, ...remarks(name, scored, answer.passages).map(remark)),
  );
}

function figures(scored) {
  const pairs = [[scored.refused ? "refused" : "score, higher is easier", figure(scored.score)]];
  if (scored.percentile !== null) pairs.push(["easier than", percent(scored.percentile)]);
  if (scored.level) pairs.push(["CEFR", scored.level]);
  return pairs.map(([term, value]) => element("div", {}, element("dt", {}, term), element("dd", {}, value)));
}

function scale(scored, quantiles) {
  const [low, high] = [Math.min(quantiles[0] ?? 0, SCALE[0]), Math.max(quantiles.at(-1) ?? 0, SCALE[1])];
  const place = (score) => Math.min(Math.max(((score - low) / (high - low)) * 100, 0), 100);
  const said = `Score ${figure(scored.score)}${scored.low === null ? "" : `, 90 % interval ${range(scored)}`}`;
  const bar = (name, from, to) =>
    svg("rect", { class: name, x: `${from}%`, width: `${to - from}%`, y: 4, height: 8, rx: 4 });
  return svg(
    "svg",
    { class: "scale", role: "img", "aria-label": said, height: 16 },
    bar("track", 0, 100),
    scored.low === null ? null : bar("interval", place(scored.low), place(scored.high)),
    svg("circle", { cx: `${place(scored.score)}%`, cy: 8, r: 6 }),
  );
}

const underScale = (scored) =>
  element(
    "p",
    { class: "under-scale" },
    element("span", { "aria-hidden": "true" }, "harder"),
    scored.low === null ? null : element("span", { class: "interval" }, `90 % interval ${range(scored)}`),
    element("span", { "aria-hidden": "true" }, "easier"),
  );

// Whatever a reader must know of an answer, as pairs of words and whether they are a warning.
function remarks(name, scored, passages) {
  const found = [];
  if (scored.degraded) {
    const which = passages.length > 1 ? ` in ${several(scored.degraded, "passage")} of ${passages.length}` : "";
    found.push([`Degraded${which}: not the blend that was asked for.`, true]);
  }
  for (const flag of scored.flags ?? []) found.push([`Flag: ${flagInWords(flag)}. The score is doubtful.`, true]);
  if (scored.refused) found.push(["Refused because of its flags; there is no score.", true]);
  const others = scored.answered_by.filter((each) => each && each !== name);
  if (others.length) found.push([`Answered by ${others.join(" and ")} in its place.`, true]);
  const routes = scored.routes.filter((route) => route && route !== name);
  const by = routes.map((route) => route.replaceAll("+", " and ")).join("; ");
  if (by) found.push([`Scores from ${by}.`, false]);
  if (scored.score !== null) found.push([intervalInWords(scored, passages), false]);
  return found;
}

const flagInWords = (flag) => WORDS_OF_FLAGS[flag] ?? `in language ${flag.split(":")[1]}`;

function intervalInWords(scored, passages) {
  if (scored.low === null) {
    const isFitted = scored.weight === scored.fitted_weight;
    return `No interval: ${isFitted ? "not known for such an answer" : "it is known for the fitted weight only"}.`;
  }
  if (passages.length > 1) return "Mean of the passages; the interval is the mean of theirs, and wide.";
  return "What people would say lies in the interval for 90 % of texts.";
}

const remark = ([words, isWarning]) => element("li", { class: isWarning ? "warning" : null }, words);
